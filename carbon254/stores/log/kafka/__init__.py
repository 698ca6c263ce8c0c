"""The log's twin on Kafka."""

from .cluster import Cluster, LogUnavailable
from .log import KafkaLog, Shares
from .outside import Outside
from .topics import Made, Topic, ensure

__all__ = ["Cluster", "KafkaLog", "LogUnavailable", "Made", "Outside", "Shares", "Topic", "ensure"]

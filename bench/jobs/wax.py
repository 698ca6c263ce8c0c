"""The job as a Bytewax dataflow on one worker: `wax.py BOOTSTRAP IN OUT TOLD`."""

from __future__ import annotations

from bytewax import operators
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from confluent_kafka import OFFSET_END
from record import arguments

bootstrap, source, target, job, _ = arguments()
flow = Dataflow("ticks")
ticks = operators.input("in", flow, KafkaSource([bootstrap], [source], starting_offset=OFFSET_END))
made = operators.map("job", ticks, lambda message: KafkaSinkMessage(*job.carry(message.value)))
operators.output("out", made, KafkaSink([bootstrap], target))
cli_main(flow)

"""The job as a Quix Streams application: `quix.py BOOTSTRAP IN OUT TOLD GUARANTEE FOLDER`."""

from __future__ import annotations

from quixstreams import Application
from record import arguments

bootstrap, source, target, job, (guarantee, folder) = arguments()
app = Application(
    broker_address=bootstrap,
    consumer_group=f"quix-{guarantee}",
    auto_offset_reset="latest",
    auto_create_topics=False,
    processing_guarantee=guarantee,
    # What is produced exactly once is seen when it is committed.
    commit_interval=0.1 if guarantee == "exactly-once" else 5.0,
    consumer_poll_timeout=0.05,
    state_dir=folder,
    loglevel="WARNING",
)
ticks = app.dataframe(app.topic(source, key_deserializer="bytes", value_deserializer="bytes"))
out = app.topic(target, key_serializer="bytes", value_serializer="bytes")
# The key is the instrument already: producers of ticks key by it.
ticks.apply(lambda value: job.carry(value)[1]).to_topic(out)
app.run()

"""Reads a connector of connectors/ with airbyte-cdk itself, as a second opinion on its manifest.

    python tests/peers/connector.py connectors/blueconic config.json [state.json]

Prints a JSON line for the check, for each record, and for each final state. Needs airbyte-cdk. Our one extension in
these manifests, `PlainTextDecoder`, is put in the place of the JSON decoder of logins.
"""

import json
import logging
import sys

import yaml
from airbyte_cdk.models import (
    AirbyteStateMessageSerializer,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.sources.declarative.decoders.json_decoder import JsonDecoder


def plain_text_too(decode):
    def either(self, response):
        is_text = response.headers.get("content-type", "").startswith("text/plain")
        return iter([{"token": response.text}]) if is_text else decode(self, response)

    return either


def load(folder):
    JsonDecoder.decode = plain_text_too(JsonDecoder.decode)
    text = open(f"{folder}/manifest.yaml").read().replace("PlainTextDecoder", "JsonDecoder")
    return yaml.safe_load(text)


def catalog(source, config):
    streams = []
    for stream in source.discover(logging.getLogger("airbyte"), config).streams:
        is_incremental = SyncMode.incremental in stream.supported_sync_modes
        mode = SyncMode.incremental if is_incremental else SyncMode.full_refresh
        streams.append(ConfiguredAirbyteStream(stream, mode, DestinationSyncMode.append))
    return ConfiguredAirbyteCatalog(streams)


def main():
    folder, config = sys.argv[1], json.load(open(sys.argv[2]))
    told = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else []
    state = [AirbyteStateMessageSerializer.load(one) for one in told]
    logger = logging.getLogger("airbyte")
    logger.setLevel(logging.ERROR)
    source = ConcurrentDeclarativeSource(catalog=None, config=config, state=state, source_config=load(folder))
    status = source.check(logger, config)
    print(json.dumps({"check": status.status.value, "message": status.message}))
    configured = catalog(source, config)
    source = ConcurrentDeclarativeSource(catalog=configured, config=config, state=state, source_config=load(folder))
    final = {}
    try:
        for message in source.read(logger, config, configured, state):
            if message.type == Type.RECORD:
                print(json.dumps({"stream": message.record.stream, "data": message.record.data}))
            elif message.type == Type.STATE:
                final[message.state.stream.stream_descriptor.name] = AirbyteStateMessageSerializer.dump(message.state)
            elif message.type == Type.TRACE and message.trace.error:
                error = message.trace.error
                print(json.dumps({"error": error.message, "internal": error.internal_message}))
    except Exception as error:
        print(json.dumps({"error": str(error)}))
    print(json.dumps({"state": list(final.values())}))


main()

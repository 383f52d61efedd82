"""Runs three small things through Caisson, knowing nothing of it but its address; prints one JSON object for each."""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, image = sys.argv[1:]
channel = grpc.insecure_channel(address)
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
service = pool.FindServiceByName("caisson.v1.RunService")


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caisson.v1.{name}"))


def call(name):
    method = service.FindMethodByName(name)
    kind = {(0, 0): "unary_unary", (0, 1): "unary_stream", (1, 0): "stream_unary"}[
        (int(method.client_streaming), int(method.server_streaming))
    ]
    return getattr(channel, kind)(
        f"/{service.full_name}/{name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )


def name_of(message, field):
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name


def spec(**fields):
    return message("SubmitRequest")(spec=message("RunSpec")(image=image, isolation=3, **fields))


def follow(events):
    seen = {"states": [], "stdout": b"", "stderr": b""}
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "state":
            seen["states"].append(name_of(event.state, "state"))
        elif kind == "output":
            seen[name_of(event.output, "stream").lower()] += event.output.data
        elif kind == "verdict":
            seen["outcome"] = name_of(event.verdict, "outcome")
            seen["exit_code"] = event.verdict.exit_code
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in seen.items()}


def show(seen, *keys):
    print(json.dumps({key: seen[key] for key in keys or seen}), flush=True)


show(follow(call("Run")(spec(args=["sh", "-c", "echo hello; echo oops >&2; exit 3"]))))

run_id = call("Submit")(spec(args=["cat"], stdin_attach=True)).run_id
attach = message("AttachRequest")
accepted = call("Attach")(iter([attach(run_id=run_id, data=b"hello "), attach(data=b"world"), attach(end=True)]))
watched = follow(call("Watch")(message("WatchRequest")(run_id=run_id)))
show({"accepted_bytes": accepted.accepted_bytes, **watched}, "accepted_bytes", "stdout", "outcome")

try:
    call("Submit")(spec(cwd="relative"))
except grpc.RpcError as error:
    details = any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata())
    show({"code": error.code().name, "details": details})

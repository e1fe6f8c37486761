"""A store that speaks S3 on this machine, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SECRET = "hush-this-is-the-secret-key"
BUCKET = "photos"


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start it with an empty bucket; yields what its clients want in their environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        _client(environment).create_bucket(Bucket=BUCKET)
        yield environment
    finally:
        server.stop()


def put(environment: Mapping[str, str], key: str, content: bytes) -> None:
    """Put a file there, with another client than ours."""
    _client(environment).put_object(Bucket=BUCKET, Key=key, Body=content)


def contents(environment: Mapping[str, str], folder: str) -> dict[str, bytes]:
    """All files below a folder, by what follows its name."""
    client, prefix = _client(environment), f"{folder}/"
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    keys = [each["Key"] for each in listed]
    return {
        key.removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for key in keys
    }


def _client(environment: Mapping[str, str]):  # type: ignore[no-untyped-def]  # boto3 has no types
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )

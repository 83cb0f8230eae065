"""Values to bytes, in five ways. Optional packages are imported when a serializer is made, not before."""

from taskiq_core.serializers.cbor_serializer import CBORSerializer
from taskiq_core.serializers.json_serializer import JSONSerializer
from taskiq_core.serializers.msgpack_serializer import MSGPackSerializer
from taskiq_core.serializers.orjson_serializer import ORJSONSerializer
from taskiq_core.serializers.pickle_serializer import PickleSerializer

__all__ = ["CBORSerializer", "JSONSerializer", "MSGPackSerializer", "ORJSONSerializer", "PickleSerializer"]

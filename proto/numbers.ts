// Loaded before the generated codecs, which decide as they load how a 64-bit default looks: a number, and not an object of the package
// "long", which proto-loader brings along.
import protobuf from 'protobufjs/minimal.js'

const util: { Long: unknown } = protobuf.util
util.Long = null
protobuf.configure()

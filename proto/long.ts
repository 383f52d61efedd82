// Must be evaluated before the generated codecs: they build the defaults of 64-bit fields when they are loaded. proto-loader brings the
// package "long" along; without this, decoders would hand out Long objects, and a zero that is not on the wire would be one.
import protobuf from 'protobufjs/minimal.js'

const util: { Long: unknown } = protobuf.util
util.Long = null
protobuf.configure()

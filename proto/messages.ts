// The one door to the generated codecs. 64-bit fields are JavaScript numbers here: every value that Caisson defines is below 2^53, and
// what a stranger sends beyond that fails the range checks, rounded or not.
import protobuf from 'protobufjs/minimal.js'

// proto-loader brings the package "long" along; without this, decoders would hand out Long objects.
const util: { Long: unknown } = protobuf.util
util.Long = null
protobuf.configure()

export { caisson, google } from './generated/messages.js'

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadSync } from '@grpc/proto-loader'
import descriptor, { type IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js'
import { linkable } from './descriptors.js'

const proto = fileURLToPath(new URL('../../proto/', import.meta.url))
const definition = linkable(loadSync('caisson/v1/run.proto', { includeDirs: [proto], keepCase: true }))
const entry = definition['caisson.v1.RunSpec']
assert.ok(entry && 'fileDescriptorProtos' in entry && Array.isArray(entry.fileDescriptorProtos))
const files = entry.fileDescriptorProtos.map((bytes) => descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto)
const file = files.find((file) => file.package === 'caisson.v1')
const message = (name: string) => file?.messageType?.find((message) => message.name === name)
const field = (of: string, name: string) => message(of)?.field?.find((field) => field.name === name)

test('types are named in full, and their files imported', () => {
  assert.equal(field('Run', 'spec')?.typeName, '.caisson.v1.RunSpec')
  assert.equal(field('Run', 'submitted_at')?.typeName, '.google.protobuf.Timestamp')
  assert.equal(field('RunSpec', 'isolation')?.typeName, '.caisson.v1.Isolation')
  const timestamps = files.find((file) => file.package === 'google.protobuf')
  assert.deepEqual(file?.dependency, [timestamps?.name])
  assert.equal(file?.service?.[0]?.method?.[0]?.inputType, '.caisson.v1.SubmitRequest')
})

test('maps have their entries where compilers put them', () => {
  assert.equal(field('RunSpec', 'env')?.typeName, '.caisson.v1.RunSpec.EnvEntry')
  assert.deepEqual(
    message('RunSpec')?.nestedType?.map(({ name }) => name),
    ['EnvEntry', 'LabelsEntry'],
  )
})

test('names in JSON, and what is optional', () => {
  assert.equal(field('RunSpec', 'start_within_ms')?.jsonName, 'startWithinMs')
  const optional = (of: string, name: string) =>
    Object.entries(field(of, name) ?? {}).find(([key]) => key === 'proto3Optional')?.[1]
  assert.equal(optional('RunSpec', 'start_within_ms'), true)
  assert.equal(optional('RunSpec', 'stdin_inline'), undefined)
})

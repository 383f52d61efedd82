// What QEMU is told after its start, word for word.
import { type ReadyDisk, stateDescriptor } from './qemuArgs.js'
import type { Disks, Step } from './vmm.js'

const capabilities = (...names: string[]): Step => ({
  execute: 'migrate-set-capabilities',
  arguments: { capabilities: names.map((capability) => ({ capability, state: true })) },
})

/**
 * It runs once its disk is there. It is saved when the guest's agent opens its port, which is the last that it does before it waits for its
 * host. Memory is shared, not sent.
 */
export function saving(ready: ReadyDisk | undefined): Step[] {
  const begin: Step[] = ready
    ? [...opening(ready.place, { scratchBytes: ready.bytes }, writable), exchange(ready.place, writable), { execute: 'cont' }]
    : []
  return [...begin, ...whenOpened]
}

const whenOpened: readonly Step[] = [
  { event: 'VSERPORT_CHANGE', data: { id: 'agent', open: true } },
  capabilities('x-ignore-shared', 'events'),
  { execute: 'migrate-set-parameters', arguments: { 'max-bandwidth': 2 ** 40 } },
  { execute: 'getfd', arguments: { fdname: 'state' }, file: { state: true } },
  { execute: 'migrate', arguments: { uri: 'fd:state' } },
  { event: 'MIGRATION', data: { status: 'completed' }, unless: { status: 'failed' } },
]

/** It runs as soon as it has read its state. */
export const restoring: readonly Step[] = [
  capabilities('x-ignore-shared'),
  { execute: 'migrate-incoming', arguments: { uri: `fd:${stateDescriptor}` } },
]

/** The guest sees the new sizes when it looks again. */
export function attaching({ layerKeys, diskBytes, diskBytesPerSecond }: Disks, ready: ReadyDisk | undefined): Step[] {
  const layers = layerKeys.flatMap((layer, index) => [...opening(index + 1, { layer }, readOnly), exchange(index + 1, readOnly)])
  // As the agent chooses it (proto/agent.proto: Mount).
  const scratch = ready?.bytes === diskBytes ? ready.place : 0
  const put =
    diskBytesPerSecond === undefined
      ? [exchange(scratch, writable)]
      : [...slowing(scratch, diskBytesPerSecond), exchange(scratch, writable, 'slow')]
  return [...opening(scratch, { scratchBytes: diskBytes }, writable), ...put, ...layers]
}

const readOnly = { 'read-only': true }
const writable = { 'read-only': false, discard: 'unmap' }

function opening(disk: number, file: { layer: string } | { scratchBytes: number }, access: object): Step[] {
  const filename = `/dev/fdset/${disk}`
  return [
    { execute: 'add-fd', arguments: { 'fdset-id': disk }, file },
    { execute: 'blockdev-add', arguments: { driver: 'file', 'node-name': `file${disk}`, filename, locking: 'off', ...access } },
  ]
}

/** At the rate that the run was given. */
function slowing(disk: number, bytesPerSecond: number): Step[] {
  const limits = { 'bps-read': bytesPerSecond, 'bps-write': bytesPerSecond }
  return [
    { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: 'rate', limits } },
    {
      execute: 'blockdev-add',
      arguments: { driver: 'throttle', 'node-name': 'slow', 'throttle-group': 'rate', file: `file${disk}`, ...writable },
    },
  ]
}

const exchange = (disk: number, access: object, file = `file${disk}`): Step => ({
  execute: 'blockdev-reopen',
  arguments: { options: [{ driver: 'raw', 'node-name': `disk${disk}`, file, ...access }] },
})

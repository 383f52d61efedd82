// How a program's end is waited for: its own, a kill, the loss of what it runs in. Each way ends in bounded time.
import { setTimeout as delay } from 'node:timers/promises'
import { caisson } from '../proto/messages.js'
import { ChannelClosed } from './agent/client.js'
import type { Report } from './agent/process.js'
import type { LogWriter } from './logs/writer.js'
import type { Sandbox } from './sandbox/sandbox.js'
import type { Stop } from './stop.js'

const { StopReason } = caisson.launch.v1

/** After a kill the agent has this long to report the end and what is left of the output. */
const graceMs = 2_000
/** It has longer while Redis is what it waits for. */
const mostGraceMs = 30_000
/** The launcher tells of a dead agent this soon. */
const agentLostMs = 500

/** The agent's report; undefined: there is none, and `stop` or the launcher's account says why. */
export async function untilEnded(
  ended: Promise<Report>,
  sandbox: Sandbox,
  stop: Stop,
  log: LogWriter,
): Promise<Report | undefined> {
  const killed = new AbortController()
  const kill = () => {
    sandbox.stop(stop.failure?.reason === 'CANCELLED' ? StopReason.CANCEL : StopReason.ABANDONED)
    killed.abort()
  }
  stop.signal.addEventListener('abort', kill, { once: true })
  if (stop.signal.aborted) kill()
  void sandbox.stopped.then(() => killed.abort())
  try {
    return await Promise.race([ended, sandbox.lost, grace(killed.signal, log)])
  } catch (error) {
    if (error instanceof ChannelClosed) await launchersWord(sandbox, stop)
    stop.now(error)
    // Whatever was said before is on its way to us: the channel ends with its sandbox.
    await Promise.race([ended.catch(() => {}), delay(agentLostMs)])
    return undefined
  } finally {
    stop.signal.removeEventListener('abort', kill)
  }
}

/** An agent may die of something that the launcher knows better, such as its own death: that reason comes first. */
async function launchersWord(sandbox: Sandbox, stop: Stop): Promise<void> {
  const word = Promise.race([sandbox.stopped, sandbox.lost, delay(agentLostMs)])
  await word.catch((error) => stop.now(error))
}

/** Resolves when, after a kill, the agent has had its time. */
async function grace(killed: AbortSignal, log: LogWriter): Promise<undefined> {
  if (!killed.aborted) await new Promise((resolve) => killed.addEventListener('abort', resolve, { once: true }))
  const since = Date.now()
  do await delay(graceMs)
  while (log.isWriting && Date.now() - since < mostGraceMs)
  return undefined
}

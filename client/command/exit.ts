// The one table of exit codes of `caisson run` and `caisson watch`. As a local command would end, and as `timeout`, `env` and `docker run`
// say what a local command cannot.
//
//   0-255  the program's own (EXITED; DISK_LIMIT and PIDS_LIMIT too, where it exited by itself after being denied)
//   128+n  a signal ended the program (SIGNALED)
//   124    WALL_TIMEOUT, CPU_TIMEOUT
//   125    caisson failed, or the request was refused: the program's end is not known, or it never started (all other verbs: any failure)
//   126    the command is there but cannot be executed
//   127    the command was not found
//   130    CANCELLED
//   137    OOM_KILLED (as the kernel's SIGKILL)
//   141    nobody reads our output any more (as SIGPIPE); the run was cancelled
//   153    OUTPUT_LIMIT (as SIGXFSZ)

import type { Outcome, Verdict } from '../sdk/model.js'

export const exitOwnFailure = 125
export const exitPipe = 141
export const exitOfSignal = (signal: number): number => 128 + signal

const fixed: { [O in Outcome]?: number } = {
  WALL_TIMEOUT: 124,
  CPU_TIMEOUT: 124,
  CANCELLED: 130,
  OOM_KILLED: 137,
  OUTPUT_LIMIT: 153,
}

const ofImage: Record<string, number> = { COMMAND_NOT_EXECUTABLE: 126, COMMAND_NOT_FOUND: 127 }

export function exitCode({ outcome, exitCode, signal, reason, reported }: Verdict): number {
  if (fixed[outcome] !== undefined) return fixed[outcome]
  if (outcome === 'IMAGE_ERROR') return ofImage[reason] ?? exitOwnFailure
  if (exitCode !== undefined) return exitCode
  const killer = signal ?? (reported && 'signal' in reported ? reported.signal : undefined)
  return killer === undefined ? exitOwnFailure : exitOfSignal(killer)
}

// A verb that takes several runs: each has its turn. What could not be done is told, and makes the command fail at its end.

import { CaissonError } from '../sdk/error.js'
import { exitOwnFailure } from './exit.js'
import { tellFailure } from './failure.js'

export async function eachRun(runIds: string[], json: boolean, act: (runId: string) => Promise<void>): Promise<void> {
  for (const runId of runIds) {
    try {
      await act(runId)
    } catch (error) {
      // Refused for this run. Whatever else went wrong will go wrong for the next one too.
      if (!(error instanceof CaissonError && error.reason !== '')) throw error
      tellFailure(error, json)
      process.exitCode = exitOwnFailure
    }
  }
}

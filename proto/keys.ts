// Redis key names. Everything of Caisson is below "caisson:"; BullMQ keeps its own keys below "caisson:bull".
// A run id is "r" and 25 characters of [0-9a-z]: 9 of time, 16 of random, so that ids sort by time of submission (proto/runid.ts).

export const prefix = 'caisson'

/** Hash: the record. Fields in redis/record.ts. */
export const runKey = (runId: string) => `${prefix}:run:${runId}`
/** Stream: every event of the run; field "e" is an encoded caisson.v1.RunEvent without run_id and cursor; field "last" marks the verdict. */
export const eventsKey = (runId: string) => `${prefix}:run:${runId}:events`
/** Stream: what the client sends to a run: fields "d" data and "o" its offset, or "e" end of input, "s" a signal's number, "c" cancel. */
export const inboxKey = (runId: string) => `${prefix}:run:${runId}:inbox`
/** Stream of at most a few entries: field "n" is how many bytes of input the worker has taken so far. */
export const inputTakenKey = (runId: string) => `${prefix}:run:${runId}:taken`
/** String with expiry: the run's registry credential, sealed (proto/seal.ts). Its name is also put together in redis/lua. */
export const credentialKey = (runId: string) => `${prefix}:run:${runId}:credential`
/** String "RUNID SPECDIGEST", expires with the run. */
export const idempotencyKey = (key: string) => `${prefix}:idempotency:${key}`
/** Sorted set of all run ids, all with score 0: their order is that of the ids. */
export const runsKey = `${prefix}:runs`
/** The same for the runs of one state. */
export const stateKey = (state: string) => `${prefix}:runs:${state}`
/** Sorted set of queued run ids by start deadline (ms since 1970). */
export const startDeadlinesKey = `${prefix}:deadlines:start`
/** Sorted set of ended run ids by the moment they are forgotten. */
export const retentionKey = `${prefix}:deadlines:retention`
/** Set of run ids that a worker has claimed and not ended. */
export const workerRunsKey = (workerId: string) => `${prefix}:worker:${workerId}:runs`
/** String with expiry: "TOKEN JOB" of what a worker took last from a queue, by which the same request sent again is known. */
export const lastTakeKey = (workerId: string, queue: string) => `${prefix}:worker:${workerId}:take:${queue}`
/** Hash by handover channel: requests for a job of a queue that found none, as redis/lua packs them. */
export const standingKey = (queue: string) => `${prefix}:requests:${queue}`
/** Channel: what a worker is handed while its request stands (redis/handovers.ts). */
export const handoverChannel = (workerId: string, queue: string) => `${prefix}:worker:${workerId}:handover:${queue}`
/** String with expiry: encoded caisson.v1.Worker, renewed by its worker. */
export const workerKey = (workerId: string) => `${prefix}:worker:${workerId}`
/** Set of worker ids that may be alive or have left runs behind. */
export const workersKey = `${prefix}:workers`
/** Stream with expiry, of one worker: field "i" an errand's id, "e" an encoded caisson.errand.v1.Errand. */
export const errandsKey = (workerId: string) => `${prefix}:worker:${workerId}:errands`
/** String with expiry: somebody waits for what comes of the errand. */
export const errandLeaseKey = (errandId: string) => `${prefix}:errand:${errandId}`
/** Stream with expiry: field "a" an encoded caisson.errand.v1.Answer, empty for a sign of life; "last" marks the last one. */
export const answersKey = (errandId: string) => `${prefix}:errand:${errandId}:answers`
/** String with expiry: which control process sweeps. */
export const sweeperLeaseKey = `${prefix}:sweeper`

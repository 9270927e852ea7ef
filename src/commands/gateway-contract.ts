import type { Config } from '../config.ts';
import type { Log } from '../observe/log.ts';

/** A gateway that is up and ready. */
export interface RunningGateway {
  /** What listens where, such as `{public: 'http://127.0.0.1:9190', envoy: 'http://127.0.0.1:10000'}`. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Resolves with the reason when a part that it cannot run without has ended (Envoy, say); the gateway should be closed then. */
  readonly failed?: Promise<string>;
  /** Drains (config.drainTimeout) and stops everything. */
  close(): Promise<void>;
}

/**
 * Starts the gateway; resolves once it is ready. Rejects with an Error whose `message` is for the operator, with everything
 * that had been started stopped again.
 */
export type StartGateway = (
  config: Config,
  options: {
    readonly log: Log;
    /** Run this Envoy in front; undefined: for an Envoy that is already there. */
    readonly envoyBin?: string | undefined;
    /** A part is up: one short phrase, such as `Envoy on http://127.0.0.1:10000`. */
    readonly onProgress: (done: string) => void;
  },
) => Promise<RunningGateway>;

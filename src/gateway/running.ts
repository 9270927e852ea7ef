import type { Config } from '../config.ts';
import type { Log } from '../observe/log.ts';

/** A gateway that is up and ready. */
export interface RunningGateway {
  /** What listens where: `grpc`, `public`, `internal`, `admin`, and `envoy` where we run it. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Resolves with the reason when a part that it cannot run without has ended (Envoy, say); the gateway should be closed then. */
  readonly failed?: Promise<string>;
  /** Loads the policies again, as SIGHUP asks; never rejects: what is wrong is logged, and the old ones stay. */
  reload(): Promise<void>;
  /** Asks Envoy to go elsewhere, answers what still comes, lets live streams finish (drainTimeout), stops everything. */
  close(): Promise<void>;
}

export interface StartOptions {
  readonly log: Log;
  /** Run this Envoy in front; undefined: for an Envoy that is already there. */
  readonly envoyBin?: string | undefined;
  /** A part is up: one short phrase, such as `Envoy on http://127.0.0.1:10000`. */
  readonly onProgress: (done: string) => void;
}

/**
 * Starts the gateway; resolves once it is ready. Rejects with an Error whose `message` is for the operator, with everything
 * that had been started stopped again.
 */
export type StartGateway = (config: Config, options: StartOptions) => Promise<RunningGateway>;

/** External classifiers: asked over HTTP with a bound on time, places and waiting; verdicts cached; equal texts asked once. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createGuardClient, type FailureCode, type GuardClient, GuardFailure } from './client.ts';
import type { GuardConfig } from './config.ts';
import type { Checked, Guard, Verdict } from './guard.ts';
import { bodyFor, readAnswer } from './kinds.ts';
import { Places } from './places.ts';
import { Verdicts } from './verdicts.ts';

/** What became of one check. `shared`: another check had asked the same already. */
export type GuardOutcome = 'flagged' | 'clean' | FailureCode;

export interface GuardObserver {
  /** Never told of the text. `ms`: how long the check took, waiting included. */
  checked(guard: string, outcome: GuardOutcome, how: 'asked' | 'shared' | 'cached' | 'not_asked', ms: number): void;
}

export interface GuardsOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly observer?: GuardObserver;
  /** Milliseconds, monotonic. Default: those of the process. */
  readonly now?: () => number;
}

export interface Guards {
  readonly byName: ReadonlyMap<string, Guard>;
  /** Ends what is under way: those checks fail. */
  close(): Promise<void>;
}

/** Throws GuardConfigError where a credential or a CA cannot be read: refuse to start. */
export function createGuards(configs: readonly GuardConfig[], options: GuardsOptions): Guards {
  const guards = configs.map((config) => new HttpGuard(config, options));
  return {
    byName: new Map(guards.map((guard) => [guard.name, guard])),
    close: async () => {
      await Promise.all(guards.map((guard) => guard.close()));
    },
  };
}

/** What a guard needs and cannot be read. Never holds the secret. */
export class GuardConfigError extends Error {
  override readonly name = 'GuardConfigError';
  readonly code = 'guard_config';
}

/** A check that is under way, for all that ask the same. */
interface Asked {
  readonly verdict: Promise<Verdict>;
  readonly controller: AbortController;
  /** Checks that wait for it. */
  waiting: number;
}

class HttpGuard implements Guard {
  readonly name: string;
  readonly #config: GuardConfig;
  readonly #client: GuardClient;
  readonly #places: Places;
  readonly #verdicts: Verdicts;
  readonly #asked = new Map<string, Asked>();
  readonly #observer: GuardObserver | undefined;
  readonly #now: () => number;

  constructor(config: GuardConfig, { env, observer, now = () => performance.now() }: GuardsOptions) {
    this.name = config.name;
    this.#config = config;
    this.#observer = observer;
    this.#now = now;
    this.#places = new Places(config.concurrency, config.waiting);
    this.#verdicts = new Verdicts(config.cache.entries, config.cache.ttl, now);
    this.#client = createGuardClient({
      url: config.url,
      headers: credentialOf(config, env),
      connections: config.concurrency,
      timeoutMs: config.timeout,
      ...(config.caFile === undefined ? {} : { ca: fileOf(config, config.caFile) }),
    });
  }

  async check(checked: Checked, signal?: AbortSignal): Promise<Verdict> {
    const began = this.#now();
    const tell = (verdict: Verdict, how: Parameters<GuardObserver['checked']>[2], code?: FailureCode): Verdict => {
      const outcome = code ?? (verdict.ok ? (verdict.flagged ? 'flagged' : 'clean') : 'guard_unreachable');
      this.#observer?.checked(this.name, outcome, how, this.#now() - began);
      return verdict;
    };
    if (signal?.aborted === true) return tell(abandoned, 'not_asked', 'guard_abandoned');
    if (checked.unread === true && checked.text.trim() === '')
      return tell(this.#failed('guard_no_text'), 'not_asked', 'guard_no_text');
    const sent = shortened(this.#config, checked);
    if (sent === undefined) return tell({ ok: false, code: 'guard_text_too_long' }, 'not_asked', 'guard_text_too_long');
    const body = bodyFor(this.#config, sent);
    const key = createHash('sha256').update(body).digest('base64');
    const known = this.#verdicts.get(key);
    if (known !== undefined) return tell(known, 'cached');
    const before = this.#asked.get(key);
    const how = before === undefined ? 'asked' : 'shared';
    try {
      return tell(await this.#await(key, before ?? this.#ask(key, body), signal), how);
    } catch (error) {
      const code = error instanceof GuardFailure ? error.code : 'guard_unreachable';
      return tell(this.#failed(code), how, code);
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** A check that nobody waits for any more is never a yes. */
  #failed(code: FailureCode): Verdict {
    return this.#config.onFailure === 'allow' && code !== 'guard_abandoned' ? notFlagged : { ok: false, code };
  }

  #ask(key: string, body: string): Asked {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new GuardFailure('guard_timeout')), this.#config.timeout);
    const verdict = this.#places
      .take(controller.signal, () => this.#client.post(body, controller.signal))
      .then((answer): Verdict => ({ ok: true, ...readAnswer(this.#config, answer) }))
      .finally(() => {
        clearTimeout(timer);
        if (this.#asked.get(key) === asked) this.#asked.delete(key);
      });
    const asked: Asked = { verdict, controller, waiting: 0 };
    this.#asked.set(key, asked);
    verdict.then(
      (found) => this.#verdicts.set(key, found),
      () => {},
    );
    return asked;
  }

  /** Waits with the others; the last one to leave ends it. */
  #await(key: string, asked: Asked, signal: AbortSignal | undefined): Promise<Verdict> {
    if (signal === undefined) {
      asked.waiting++;
      return asked.verdict;
    }
    asked.waiting++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        reject(new GuardFailure('guard_abandoned'));
        if (--asked.waiting > 0) return;
        // Whoever asks the same from now on asks anew.
        if (this.#asked.get(key) === asked) this.#asked.delete(key);
        asked.controller.abort(new GuardFailure('guard_abandoned'));
      };
      signal.addEventListener('abort', leave, { once: true });
      asked.verdict.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    });
  }
}

const notFlagged: Verdict = { ok: true, flagged: false, categories: [], scores: new Map() };
const abandoned: Verdict = { ok: false, code: 'guard_abandoned' };

/** Most messages that are sent: each costs, however short. */
const MAX_MESSAGES = 4096;

/** What is sent of a long text; undefined: nothing, it is too long. */
function shortened({ kind, maxCharacters, tooLong }: GuardConfig, checked: Checked): Checked | undefined {
  const { text } = checked;
  const messages = kind === 'webhook' ? checked.messages : [];
  const inMessages = messages.reduce((sum, message) => sum + message.text.length + message.role.length, 0);
  const isShort = text.length <= maxCharacters && inMessages <= 2 * maxCharacters && messages.length <= MAX_MESSAGES;
  if (isShort) return { text, messages };
  if (tooLong === 'deny') return undefined;
  // The messages say the same as the text: of a long one, the text alone is sent.
  if (text.length <= maxCharacters) return { text, messages: [] };
  const head = tooLong === 'head' ? maxCharacters : Math.ceil(maxCharacters / 2);
  const tail = maxCharacters - head;
  return {
    text: (text.slice(0, head) + (tail > 0 ? `\n${text.slice(-tail)}` : '')).toWellFormed(),
    messages: [],
  };
}

function credentialOf(config: GuardConfig, env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const { credential } = config;
  if (credential === undefined) return {};
  const { file, env: variable, header, prefix } = credential;
  const secret = file === undefined ? (env[variable!] ?? '') : fileOf(config, file).replace(/\r?\n$/, '');
  const where = file === undefined ? `the environment variable ${variable}` : `the file ${file}`;
  if (secret === '') throw new GuardConfigError(`guard ${config.name}: ${where} holds no credential`);
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw new GuardConfigError(`guard ${config.name}: ${where} holds what cannot be in a header`);
  return { [header]: prefix + secret };
}

function fileOf({ name }: GuardConfig, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GuardConfigError(`guard ${name}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

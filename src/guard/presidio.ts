/** Names by Presidio's analyzer: POST /analyze, one sentence a question. */
import { z } from 'zod';
import type { Finding, NameFinder } from '../detect/detector.ts';
import { createGuardClient, type FailureCode, GuardFailure } from './client.ts';
import { Places } from './places.ts';
import type { PresidioConfig } from './presidio-config.ts';

export interface PresidioObserver {
  /** A sentence was asked about. `outcome`: `found`, `clean`, or why there is no answer. */
  asked(outcome: 'found' | 'clean' | FailureCode, ms: number): void;
}

export interface Presidio extends NameFinder {
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** https://microsoft.github.io/presidio/api-docs/api-docs.html: a list of RecognizerResult; offsets are code points. */
const answerForm = z
  .array(z.object({ entity_type: z.string(), start: z.int().min(0), end: z.int().min(0), score: z.number() }))
  .max(4096);

export function createPresidio(
  config: PresidioConfig,
  observer: PresidioObserver,
  now: () => number = () => performance.now(),
): Presidio {
  const { url, language, entities, scoreThreshold, onFailure } = config;
  const client = createGuardClient({ url, headers: {}, connections: config.concurrency, timeoutMs: config.timeout });
  const places = new Places(config.concurrency, config.waiting);

  const ask = async (text: string): Promise<readonly Finding[]> => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new GuardFailure('guard_timeout')), config.timeout);
    try {
      // Half a surrogate pair would be two offsets in one program and one in the other.
      const question = { text: text.toWellFormed(), language, entities, score_threshold: scoreThreshold };
      const answer = await places.take(controller.signal, () =>
        client.post(JSON.stringify(question), controller.signal),
      );
      return namesIn(answer, text, config);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    ids: entities.map((entity) => entity.toLowerCase()),
    maxHoldback: config.maxHoldback,
    async find(text) {
      const began = now();
      try {
        const found = await ask(text);
        observer.asked(found.length > 0 ? 'found' : 'clean', now() - began);
        return found;
      } catch (error) {
        const failure = error instanceof GuardFailure ? error : new GuardFailure('guard_unreachable', { cause: error });
        observer.asked(failure.code, now() - began);
        if (onFailure === 'open') return undefined;
        throw failure;
      }
    },
    close: () => client.close(),
  };
}

/** The names of an answer, apart: of those that overlap the longest, then the one that scores higher. Throws GuardFailure. */
function namesIn(answer: string, text: string, { entities, scoreThreshold }: PresidioConfig): readonly Finding[] {
  const results = readAnswer(answer);
  const offsets = offsetsOf(text);
  if (results.some(({ start, end }) => start >= end || end >= offsets.length)) throw new GuardFailure('guard_answer');
  const ranked = results
    .filter(({ entity_type, score }) => score >= scoreThreshold && entities.includes(entity_type))
    .sort(
      (a, b) =>
        b.end - b.start - (a.end - a.start) ||
        b.score - a.score ||
        a.start - b.start ||
        entities.indexOf(a.entity_type) - entities.indexOf(b.entity_type),
    );
  const kept: typeof ranked = [];
  for (const one of ranked) if (!kept.some(({ start, end }) => one.start < end && one.end > start)) kept.push(one);
  return kept
    .sort((a, b) => a.start - b.start)
    .map(({ entity_type, start, end }) => ({
      detector: entity_type.toLowerCase(),
      start: offsets[start]!,
      end: offsets[end]!,
    }));
}

function readAnswer(answer: string): z.output<typeof answerForm> {
  try {
    return answerForm.parse(JSON.parse(answer));
  } catch (error) {
    throw new GuardFailure('guard_answer', { cause: error });
  }
}

/** By code point, its UTF-16 offset; the length of the text at its end. */
function offsetsOf(text: string): readonly number[] {
  const offsets: number[] = [];
  let at = 0;
  for (const character of text) {
    offsets.push(at);
    at += character.length;
  }
  offsets.push(at);
  return offsets;
}

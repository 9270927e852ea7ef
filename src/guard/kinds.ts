/** What each kind of guard is sent, and how its answer is read. Answers of another form are GuardFailure `guard_answer`. */
import { z } from 'zod';
import { GuardFailure } from './client.ts';
import type { GuardConfig } from './config.ts';
import type { Checked } from './guard.ts';

/** What a classifier says, before the config's categories and threshold. */
export interface Opinion {
  readonly flagged: boolean;
  readonly categories: readonly string[];
  readonly scores: ReadonlyMap<string, number>;
}

interface Kind {
  body(config: GuardConfig, checked: Checked): object;
  read(answer: unknown): Opinion;
}

const score = z.number().min(0).max(1);

/** OpenAI's moderations endpoint: https://platform.openai.com/docs/api-reference/moderations */
const moderationAnswer = z.object({
  results: z
    .array(
      z.object({
        flagged: z.boolean(),
        categories: z.record(z.string(), z.boolean().nullable()).default({}),
        category_scores: z.record(z.string(), score.nullable()).default({}),
      }),
    )
    .min(1)
    .max(64),
});

const moderation: Kind = {
  body: ({ model }, { text }) => ({ ...(model !== undefined && { model }), input: text }),
  read(answer) {
    const { results } = parsed(moderationAnswer, answer);
    const categories = new Set<string>();
    const scores = new Map<string, number>();
    for (const result of results) {
      for (const [name, isFlagged] of Object.entries(result.categories)) if (isFlagged === true) categories.add(name);
      for (const [name, value] of Object.entries(result.category_scores))
        if (value !== null) scores.set(name, Math.max(value, scores.get(name) ?? 0));
    }
    return { flagged: results.some(({ flagged }) => flagged), categories: [...categories], scores };
  },
};

/** Hazards by their codes: MLCommons' taxonomy, as Llama Guard 3 and 4 name them in their model cards. */
export const hazards: ReadonlyMap<string, string> = new Map(
  [
    'violent_crimes',
    'non_violent_crimes',
    'sex_related_crimes',
    'child_sexual_exploitation',
    'defamation',
    'specialized_advice',
    'privacy',
    'intellectual_property',
    'indiscriminate_weapons',
    'hate',
    'suicide_and_self_harm',
    'sexual_content',
    'elections',
    'code_interpreter_abuse',
  ].map((name, i) => [`S${i + 1}`, name]),
);

const chatAnswer = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string() }), finish_reason: z.string().nullish() }))
    .length(1),
});

/** `safe`, or `unsafe` and in the next line codes with commas between them: nothing else is a verdict. */
const llamaGuard = /^\s*(?:(safe)|unsafe(?:\s*\n\s*(S\d{1,2}(?:\s*,\s*S\d{1,2}){0,31}))?)\s*$/;

const chat: Kind = {
  body: ({ model }, { text }) => ({
    model,
    messages: [{ role: 'user', content: text }],
    max_tokens: 64,
    temperature: 0,
    stream: false,
  }),
  read(answer) {
    const { choices } = parsed(chatAnswer, answer);
    const found = llamaGuard.exec(choices[0]!.message.content);
    if (found === null || choices[0]!.finish_reason === 'length') throw new GuardFailure('guard_answer');
    const codes = found[2]?.split(/\s*,\s*/) ?? [];
    const categories = [...new Set(codes)].map((code) => hazards.get(code) ?? code);
    return { flagged: found[1] === undefined, categories, scores: new Map() };
  },
};

const webhookAnswer = z.strictObject({
  flagged: z.boolean(),
  categories: z.array(z.string().min(1).max(128)).max(200).default([]),
  scores: z.record(z.string(), score).default({}),
});

const webhook: Kind = {
  body: ({ name }, { text, messages }) => ({
    version: 1,
    name,
    text,
    messages: messages.map((message) => ({ role: message.role, text: message.text })),
  }),
  read(answer) {
    const { flagged, categories, scores } = parsed(webhookAnswer, answer);
    return { flagged, categories: [...new Set(categories)], scores: new Map(Object.entries(scores)) };
  },
};

const kinds: Readonly<Record<GuardConfig['kind'], Kind>> = { moderation, chat, webhook };

/** The body of the request, as JSON. */
export const bodyFor = (config: GuardConfig, checked: Checked): string =>
  JSON.stringify(kinds[config.kind].body(config, checked));

/** Reads the text of an answer. Throws GuardFailure. */
export function readAnswer(config: GuardConfig, text: string): Opinion {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw new GuardFailure('guard_answer', { cause: error });
  }
  return judged(config, kinds[config.kind].read(answer));
}

/**
 * The config's own view. `threshold`: a category is flagged from that score on, one without a score as the classifier says. `categories`: the others do not count; a
 * classifier that flags and names no category at all still does, as nobody knows what it means.
 */
function judged({ categories: wanted, threshold }: GuardConfig, opinion: Opinion): Opinion {
  if (wanted === undefined && threshold === undefined) return opinion;
  const named =
    threshold === undefined
      ? opinion.categories
      : [
          ...[...opinion.scores].filter(([, value]) => value >= threshold).map(([name]) => name),
          ...opinion.categories.filter((name) => !opinion.scores.has(name)),
        ];
  const categories = wanted === undefined ? named : named.filter((name) => isWanted(wanted, name));
  const isUnnamed = opinion.flagged && opinion.categories.length === 0 && opinion.scores.size === 0;
  return { ...opinion, categories, flagged: categories.length > 0 || isUnnamed };
}

const isWanted = (wanted: readonly string[], name: string): boolean =>
  wanted.includes(name) || wanted.some((code) => hazards.get(code) === name);

function parsed<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const read = schema.safeParse(answer);
  if (read.success) return read.data;
  // Not the issues: they may quote the answer.
  throw new GuardFailure('guard_answer');
}

import { z } from 'zod';
import { CliError, exitCodes } from '../cli.ts';
import { escapeControls, facts } from '../text.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { type Party, unreachable } from './problems.ts';

const timeoutMs = 10_000;

const whoamiSchema = z.looseObject({
  provider: z.string(),
  subject: z.string(),
  kind: z.string(),
  email: z.string().nullish(),
  groups: z.array(z.string()).default([]),
  team: z.string().nullish(),
});

/** Who the gateway takes the holder of a token for. Other members are passed on as they are. */
export type Whoami = z.output<typeof whoamiSchema>;

/** Asks the gateway. Throws CliError. */
export async function askWhoami(gateway: Party, token: string): Promise<Whoami> {
  let response: Response;
  let body: unknown;
  try {
    response = await boundedFetch(`${gateway.url}/oauth/whoami`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    body = await response.json().catch(() => undefined);
  } catch (error) {
    throw unreachable(gateway, error);
  }
  const parsed = whoamiSchema.safeParse(body);
  if (response.ok && parsed.success) return parsed.data;
  throw refusedBy(gateway, response.status, body);
}

const refusalSchema = z.object({
  error: z.object({ code: z.string() }).catch({ code: '' }),
  error_description: z.string().catch(''),
});

function refusedBy({ url }: Party, status: number, body: unknown): CliError {
  const { error, error_description: why } = refusalSchema.catch(noReason).parse(body);
  const code = escapeControls(error.code.slice(0, 100)) || `status ${status}`;
  const sentence = why === '' ? '.' : `: ${escapeControls(why.slice(0, 300))}`;
  if (status === 401)
    return new CliError(
      exitCodes.failed,
      `The gateway refuses this token (${code})${sentence}`,
      'Run `sallyport login`.',
    );
  return new CliError(
    exitCodes.failed,
    `The gateway does not say whose token it is (${code})${sentence}`,
    status === 503
      ? 'Try again; if it stays, tell whoever runs the gateway.'
      : `Check that ${url} is a gateway of this version.`,
  );
}
const noReason = { error: { code: '' }, error_description: '' };

/** The answer for people. */
export const whoamiText = (who: Whoami, gateway: string, more: readonly (readonly [string, string])[]): string =>
  facts([
    ['Gateway', gateway],
    ['You are', `${who.provider}/${who.subject}`],
    ['Kind', who.kind],
    ['E-mail', who.email ?? undefined],
    ['Groups', who.groups.join(', ') || 'none'],
    ['Team', who.team ?? 'none'],
    ...more,
  ]);

/** `14 min`, `50 s`, `3 h`: how long something is good from now. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

import { z } from 'zod';

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** `2s`, `5m`, `1h`, as milliseconds. */
function duration(minMs: number, maxMs: number) {
  return z.string().transform((text, context): number => {
    const [, count = '', unit = 's'] = /^(\d{1,6})(s|m|h)$/.exec(text) ?? [];
    const ms = count === '' ? Number.NaN : Number(count) * unitsMs[unit as keyof typeof unitsMs];
    if (ms >= minMs && ms <= maxMs) return ms;
    const range = `from ${minMs / 1_000}s to ${maxMs / 1_000}s`;
    context.addIssue({ code: 'custom', message: `must be a duration such as 30s or 5m, ${range}` });
    return z.NEVER;
  });
}

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Why a repository cannot be fetched from there, or undefined. What is no URL is a path. */
function problemWithUrl(text: string): string | undefined {
  if (/^[\w.-]+@[\w.-]+:/.test(text) || /^(ssh|git\+ssh):/i.test(text))
    return 'ssh is not spoken here: use the https URL of the repository, with `credential`';
  const url = /^[a-z][a-z0-9+.-]*:/i.test(text) ? URL.parse(text) : undefined;
  if (url === undefined) return undefined;
  if (url === null) return 'is not a URL';
  if (url.username !== '' || url.password !== '') return 'must have no user or password in it: see `credential`';
  if (url.search !== '' || url.hash !== '') return 'must have no query and no fragment';
  if (url.protocol === 'https:' || url.protocol === 'file:') return undefined;
  if (url.protocol === 'http:')
    return loopback.has(url.hostname)
      ? undefined
      : 'must be https: in the clear, policies are anybody’s (http only on the loopback)';
  return `${url.protocol} is not spoken here: policies come by https, or from a local path`;
}

const credential = z
  .strictObject({
    username: z
      .string()
      .min(1)
      .max(256)
      .default('git')
      .describe('User of HTTP Basic; hosting services take any with a token. Default `git`.'),
    file: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the token, relative to this file; read at each fetch.'),
    env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
      .optional()
      .describe('Environment variable that holds the token.'),
  })
  .refine((c) => (c.file === undefined) !== (c.env === undefined), 'must have either file or env');

const git = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .max(2048)
      .superRefine((text, context) => {
        const message = problemWithUrl(text);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .describe(
        'The repository: an https URL (http only on the loopback), or the path or file:// URL of one on this machine. The gateway speaks git itself; there need be no git binary. Not ssh.',
      ),
    ref: z
      .string()
      .min(1)
      .max(256)
      .regex(/^(?!-)[^\s~^:?*[\\\p{Cc}]+$/u, 'must be a branch, a tag or a commit')
      .default('main')
      .describe('Branch, tag, or commit (40 hex digits) whose policies are in force. Default `main`.'),
    path: z
      .string()
      .max(512)
      .refine(
        (p) => !p.split('/').some((part) => part === '..' || part === '.git'),
        'must be a folder in the repository',
      )
      .default('')
      .describe('Folder of the policies in the repository. Default: its top.'),
    interval: duration(5_000, 24 * 3_600_000)
      .prefault('60s')
      .describe('How often the repository is asked, 5s to 24h. Default 60s. SIGHUP asks at once.'),
    timeout: duration(5_000, 600_000)
      .prefault('60s')
      .describe(
        'Longest time that one look at the repository may take, 5s to 10m; after it the old set stays. Default 60s.',
      ),
    maxBytes: z
      .int()
      .min(65_536)
      .max(1_073_741_824)
      .default(67_108_864)
      .describe(
        'Most bytes that one fetch may bring. Default 64 MiB: a repository of policies is small; one that is not is refused.',
      ),
    requireSigned: z
      .boolean()
      .default(false)
      .describe(
        'Whether the commit (or the annotated tag that `ref` names) must bear a good signature, OpenSSH or OpenPGP, by one of `allowedSigners`. Default false.',
      ),
    allowedSigners: z
      .string()
      .min(1)
      .optional()
      .describe(
        'File of those who may sign, relative to this file: lines of OpenSSH’s allowed_signers (`ssh-keygen(1)`), and armored OpenPGP public keys. Required by `requireSigned`; read at each look.',
      ),
    allowRewind: z
      .boolean()
      .default(false)
      .describe(
        'Whether a commit that does not follow from the one in force is taken: a forced push to another or an older one. Default false: it is refused, and the old set stays.',
      ),
    credential: credential
      .optional()
      .describe('How the gateway proves itself to an https repository. Left out: it does not.'),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file of the CAs that the repository’s certificate must come from, relative to this file. Left out: the system’s.',
      ),
  })
  .refine((c) => !c.requireSigned || c.allowedSigners !== undefined, {
    message: 'requireSigned needs allowedSigners: who may sign',
    path: ['allowedSigners'],
  });

/** The `policies:` section. */
export const policiesSection = z
  .strictObject({
    source: z
      .enum(['dir', 'git', 'push'])
      .default('dir')
      .describe(
        'Where policies come from. `dir`: the folder `dir`. `git`: a repository that the gateway fetches itself. `push`: what `sallyport policy push` brings; until the first push, what is in `dir`. Default `dir`.',
      ),
    dir: z
      .string()
      .min(1)
      .default('policies')
      .describe(
        'Folder of the policies, relative to the config file. Files at its top and below `_platform/` are for all models, `<team>/` for the models of that team. Default `policies`.',
      ),
    reload: z
      .strictObject({
        interval: z
          .union([z.literal('off').transform(() => undefined), duration(1_000, 3_600_000)])
          .prefault('2s')
          .describe(
            'How often the folder is looked at for changes, 1s to 1h; `off`: only SIGHUP reloads. Default 2s. A look costs one stat a file; it works on NFS and on ConfigMaps.',
          ),
      })
      .prefault({}),
    git: git.optional().describe('The repository of `source: git`.'),
    push: z
      .strictObject({
        groups: z
          .array(z.string().min(1).max(256))
          .default([])
          .describe(
            'Groups whose members may push over the public listener (`PUT /policies`). Default none: only who may open the admin socket can.',
          ),
      })
      .optional()
      .describe('Who may push, with `source: push`.'),
    evaluationBudget: z
      .int()
      .min(1000)
      .max(1_000_000)
      .default(20_000)
      .describe(
        'What one evaluation of a rule may cost: an iteration is 1, 512 characters of text 1, 8 characters under `matches` 1. A rule that runs out counts as an error. All rules of a decision may cost ten times as much together. Default 20000, some milliseconds.',
      ),
  })
  .superRefine((section, context) => {
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (section.source === 'git' && section.git === undefined) complain('source', '`source: git` needs the key git');
    if (section.source !== 'git' && section.git !== undefined) complain('git', 'is read with `source: git` only');
    if (section.source !== 'push' && section.push !== undefined) complain('push', 'is read with `source: push` only');
  });

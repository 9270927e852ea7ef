import type { Detector } from './detector.ts';
import { ai } from './secrets/ai.ts';
import { aws } from './secrets/aws.ts';
import { chat } from './secrets/chat.ts';
import { cloud } from './secrets/cloud.ts';
import { commerce } from './secrets/commerce.ts';
import { data } from './secrets/data.ts';
import { formats } from './secrets/formats.ts';
import { generic } from './secrets/generic.ts';
import { githubTokens } from './secrets/github.ts';
import { keys } from './secrets/keys.ts';
import { mail } from './secrets/mail.ts';
import { observability } from './secrets/observability.ts';
import { openai } from './secrets/openai.ts';
import { packages } from './secrets/packages.ts';
import { saas } from './secrets/saas.ts';
import { slack } from './secrets/slack.ts';
import { sourceHosting } from './secrets/source-hosting.ts';

/** Credentials: what has a prefix of its own, what is known by its issuer's name, and last what is only called a secret. */
export const secrets: readonly Detector[] = [
  ...aws,
  ...githubTokens,
  ...slack,
  ...formats,
  ...openai,
  ...ai,
  ...cloud,
  ...sourceHosting,
  ...packages,
  ...chat,
  ...commerce,
  ...observability,
  ...data,
  ...mail,
  ...saas,
  ...keys,
  ...generic,
];

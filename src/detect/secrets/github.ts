import type { Detector } from '../detector.ts';
import { gitleaks, opener } from './make.ts';

// Three x are a placeholder's (`ghp_xxxxxxxx…`), and one token's in 30,000.
const body = (length: number) =>
  `(?:[A-WYZa-wyz0-9][A-Za-z0-9]{2}|[A-Za-z0-9][A-WYZa-wyz0-9][A-Za-z0-9]|[A-Za-z0-9]{2}[A-WYZa-wyz0-9])[A-Za-z0-9]{${length - 3}}`;

const github = (id: string, prefix: string, doc: string): Detector =>
  opener(
    id,
    `${prefix}${body(36)}`,
    { body: '[A-Za-z0-9]' },
    doc,
    [`${prefix.replace('(?:ghu|ghs)', 'ghs')}${'0123456789abcdefABCDEF'.repeat(2).slice(0, 36)}`],
    `GitHub docs, "Behind GitHub's new authentication token formats"; ${gitleaks}`,
  );

/** Credentials of GitHub. Their prefixes are rare enough to be found inside of a word too: `TOKEN_ghp_…`. */
export const githubTokens: readonly Detector[] = [
  github('github_pat', 'ghp_', 'GitHub personal access tokens (classic).'),
  github('github_oauth', 'gho_', 'GitHub OAuth access tokens.'),
  {
    ...github('github_app_token', '(?:ghu|ghs)_', 'GitHub app user-to-server and server-to-server tokens.'),
    // The newer ones of installations are an app's number and a JWT.
    pattern: String.raw`(?:ghu|ghs)_${body(36)}|ghs_\d{1,12}_ey[\w\-]{20}`,
    swallow: { body: String.raw`[\w\-]`, joint: String.raw`\.` },
  },
  github('github_refresh_token', 'ghr_', 'GitHub refresh tokens.'),
  opener(
    'github_fine_grained_pat',
    String.raw`github_pat_[A-Za-z0-9]{22}_\w{20}`,
    { body: String.raw`\w` },
    'GitHub fine-grained personal access tokens.',
    [`github_pat_11ABCDEFG0abcdefghijkl_${'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW'}`],
    `GitHub docs, "Managing your personal access tokens"; ${gitleaks}`,
  ),
];

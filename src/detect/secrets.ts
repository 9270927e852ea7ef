import type { Detector } from './detector.ts';

const gitleaks = 'gitleaks, config/gitleaks.toml';

/** A token that its prefix gives away: conclusive when `length` characters have followed, and swallowed to its end. */
const github = (id: string, prefix: string, doc: string): Detector => ({
  id,
  categories: ['secrets'],
  pattern: `${prefix}[A-Za-z0-9]{36}`,
  swallow: { body: '[A-Za-z0-9]' },
  doc,
  examples: [`${prefix.replace('(?:ghu|ghs)', 'ghs')}${'0123456789abcdefABCDEF'.repeat(2).slice(0, 36)}`],
  source: `GitHub docs, "Behind GitHub's new authentication token formats"; ${gitleaks}`,
});

/** Credentials. GitHub's and Slack's prefixes are rare enough to be found inside of a word too: `TOKEN_ghp_…`. */
export const secrets: readonly Detector[] = [
  {
    id: 'aws_access_token',
    categories: ['secrets'],
    pattern: String.raw`\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`,
    doc: 'AWS access key ids.',
    examples: ['AKIAIOSFODNN7EXAMPLE'],
    source: `AWS IAM user guide, "IAM identifiers"; ${gitleaks}`,
  },
  {
    id: 'aws_secret_key',
    categories: ['secrets'],
    // Forty base64 characters alone could be anything: only where they are called by name. The name is masked with them.
    pattern: String.raw`\b(?:aws_?)?secret_?(?:access_?)?key["'\x60]?[ \t]{0,4}(?::|=|:=|=>)[ \t]{0,4}["'\x60]?[A-Za-z0-9+\/]{40}`,
    ignoreCase: true,
    swallow: { body: '[A-Za-z0-9+/=]' },
    doc: 'AWS secret access keys, where they are assigned to their name.',
    examples: ['AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    source: 'AWS IAM user guide, "Manage access keys"',
  },
  github('github_pat', 'ghp_', 'GitHub personal access tokens (classic).'),
  github('github_oauth', 'gho_', 'GitHub OAuth access tokens.'),
  github('github_app_token', '(?:ghu|ghs)_', 'GitHub app user-to-server and server-to-server tokens.'),
  github('github_refresh_token', 'ghr_', 'GitHub refresh tokens.'),
  {
    id: 'github_fine_grained_pat',
    categories: ['secrets'],
    pattern: String.raw`github_pat_\w{22}_\w{20}`,
    swallow: { body: String.raw`\w` },
    doc: 'GitHub fine-grained personal access tokens.',
    examples: [`github_pat_11ABCDEFG0abcdefghijkl_${'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW'}`],
    source: `GitHub docs, "Managing your personal access tokens"; ${gitleaks}`,
  },
  {
    id: 'slack_bot_token',
    categories: ['secrets'],
    pattern: String.raw`xoxb-\d{8,14}-[A-Za-z0-9]{8}`,
    swallow: { body: '[A-Za-z0-9]', joint: '-' },
    doc: 'Slack bot tokens.',
    examples: ['xoxb-1234567890-1234567890123-abcdefABCDEF123456789012'],
    source: `Slack API docs, "Token types"; ${gitleaks}`,
  },
  {
    id: 'slack_user_token',
    categories: ['secrets'],
    pattern: String.raw`xox[pe]-\d{8,14}-\d{8}`,
    swallow: { body: '[A-Za-z0-9]', joint: '-' },
    doc: 'Slack user tokens.',
    examples: ['xoxp-1234567890-1234567890-1234567890123-abcdef0123456789abcdef0123456789'],
    source: `Slack API docs, "Token types"; ${gitleaks}`,
  },
  {
    id: 'slack_webhook_url',
    categories: ['secrets'],
    pattern: String.raw`\b(?:https?:\/\/)?hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+\/]{24}`,
    swallow: { body: '[A-Za-z0-9+/]' },
    doc: 'Slack incoming webhook URLs: whoever has one can post.',
    examples: ['https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX'],
    source: `Slack API docs, "Sending messages using incoming webhooks"; ${gitleaks}`,
  },
  {
    id: 'jwt',
    categories: ['secrets'],
    // Conclusive early where the header begins with a JOSE parameter (`{"alg":`, `{"typ":`, `{"kid":`, `{"enc":`,
    // `{"cty":`, `{"x5t`, `{"jku":`), otherwise at the second segment.
    pattern: [
      String.raw`\bey(?:JhbGciOi|J0eXAiOi|JraWQiOi|JlbmMiOi|JjdHkiOi|J4NXQi|Jqa3UiOi)[\w\-]{10}`,
      String.raw`\bey[A-Z][\w\-]{10,256}\.ey[A-Z][\w\-]{10}`,
    ].join('|'),
    swallow: { body: String.raw`[\w\-]`, joint: String.raw`\.` },
    doc: 'JSON Web Tokens (JWS and JWE, compact).',
    examples: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'],
    source: `RFC 7519 section 3, RFC 7515 section 7.1, RFC 7516 section 7.1; ${gitleaks}`,
  },
  {
    id: 'private_key',
    categories: ['secrets'],
    pattern: `-----BEGIN[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?-----`,
    swallow: { until: `-----END[ A-Z0-9]{0,40} PRIVATE KEY(?: BLOCK)?-----` },
    doc: 'Private keys in PEM: everything from the BEGIN line to the END line, or to the end of the text.',
    examples: ['-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----'],
    source: `RFC 7468 section 10; ${gitleaks}`,
  },
  {
    id: 'openai_api_key',
    categories: ['secrets'],
    pattern: [
      String.raw`\bsk-(?:proj|svcacct|admin|None)-[\w\-]{20}`,
      String.raw`\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{12}`,
    ].join('|'),
    swallow: { body: String.raw`[\w\-]` },
    doc: 'OpenAI API keys.',
    examples: [`sk-proj-${'abcdefghij0123456789'.repeat(3)}T3BlbkFJ${'abcdefghij'.repeat(6)}`],
    source: gitleaks,
  },
];

import type { Detector } from '../detector.ts';
import { gitleaks, opener } from './make.ts';

const swallow = { body: '[A-Za-z0-9]', joint: '-' };

/** What Slack gives out with a prefix of its own. */
export const slack: readonly Detector[] = [
  opener(
    'slack_bot_token',
    String.raw`xoxb-\d{8,14}-\d{8,14}-[A-Za-z0-9]{8}`,
    swallow,
    'Slack bot tokens.',
    ['xoxb-1234567890-1234567890123-abcdefABCDEF123456789012'],
    `Slack API docs, "Token types"; ${gitleaks}`,
  ),
  opener(
    'slack_user_token',
    String.raw`xox[pe]-\d{8,14}-\d{8}`,
    swallow,
    'Slack user tokens.',
    ['xoxp-1234567890-1234567890-1234567890123-abcdef0123456789abcdef0123456789'],
    `Slack API docs, "Token types"; ${gitleaks}`,
  ),
  opener(
    'slack_webhook_url',
    String.raw`\b(?:https?:\/\/)?hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+\/]{24}`,
    { body: '[A-Za-z0-9+/]' },
    'Slack incoming webhook URLs: whoever has one can post.',
    ['https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX'],
    `Slack API docs, "Sending messages using incoming webhooks"; ${gitleaks}`,
  ),
];

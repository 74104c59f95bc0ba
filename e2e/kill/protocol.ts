import type { SecretPolicy } from '@keyturn/rotator';

/** A point at which the rotator is killed: a call that leaves its process, and which side of it. */
export interface KillPoint {
  readonly call: string;
  readonly moment: 'before' | 'after';
}

/** What the rotator under test is told when it starts. Holds no value. */
export interface RotatorOrders {
  readonly vaultUrl: string;
  readonly journalUrl: string;
  readonly fleetPort: number;
  readonly requestTimeoutMs: number;
  readonly policy: SecretPolicy;
  readonly source: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly owner: string;
    readonly roles: readonly [string, string];
    readonly adminSecret: string;
  };
  readonly killAt?: KillPoint;
  /** `re-issue` doesn't look before it issues; `unproven` revokes nothing and says that it was refused. */
  readonly mutant?: 're-issue' | 'unproven';
  /** True if an earlier process of this round was killed. */
  readonly resumes: boolean;
}

/** What it tells its parent: the calls it makes, and the values it issues, which must turn up nowhere else. */
export type RotatorSays = { readonly call: string } | { readonly issued: string };

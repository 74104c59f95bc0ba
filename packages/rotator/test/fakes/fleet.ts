import type { SecretValue } from '@keyturn/source';
import type { Announcement, Fleet, Instance } from '../../src/fleet/fleet.ts';
import type { SetClock } from './clock.ts';
import type { FakeSource } from './source.ts';
import type { FakeVault } from './vault.ts';

/** One running instance. `adopts` false: it hears the announcements and stays where it is. */
export interface Member {
  readonly name: string;
  adopts: boolean;
  /** It can't log in with versions that `refuses` says yes to, whatever the source thinks. */
  refuses: (version: string) => boolean;
  /** Values that it uses for logins or still holds open. */
  values: SecretValue[];
  state: Instance;
  /** Reads the vault and logs in with what is current there, as a client that heard an announcement. */
  refresh(): void;
  /** Ends without a goodbye; its lease runs out. */
  vanish(): void;
}

export interface FakeFleet {
  readonly port: Fleet;
  readonly announced: readonly Announcement[];
  readonly members: readonly Member[];
  /** Until then the rotator has not heard of everyone. */
  settlesAt(time: number): void;
  start(consumer: string, instance: string): Member;
  /** Every instance ends without a goodbye. */
  vanish(): void;
}

export function openFakeFleet(at: {
  clock: SetClock;
  vault: FakeVault;
  source: FakeSource;
  reactionMs: number;
}): FakeFleet {
  const { clock, vault, source, reactionMs } = at;
  const announced: Announcement[] = [];
  const members: Member[] = [];
  let settledAt = 0;

  function start(consumer: string, instance: string): Member {
    const name = `${consumer}/${instance}`;
    const first = vault.newest();
    const member: Member = {
      name,
      adopts: true,
      refuses: () => false,
      values: [first.value],
      state: { consumer, instance, version: first.version, held: [], refused: {} },
      refresh() {
        const { version, value } = vault.newest();
        if (member.state.version === version) return;
        if (member.refuses(version) || !source.authenticates(value)) {
          const refused = { ...member.state.refused };
          refused[version] = (refused[version] ?? 0) + 1;
          member.state = { ...member.state, refused };
          return;
        }
        source.logout(name);
        source.login(value, name);
        member.values = [value];
        const authenticatedAt = new Date(clock.now()).toISOString();
        member.state = { ...member.state, version, held: [], authenticatedAt };
      },
      vanish() {
        source.logout(name);
        members.splice(members.indexOf(member), 1);
      },
    };
    source.login(first.value, name);
    members.push(member);
    return member;
  }

  const port: Fleet = {
    get settledAt() {
      return settledAt;
    },
    async announce(announcement) {
      if (announced.at(-1)?.version !== announcement.version) announced.push(announcement);
      for (const member of members)
        clock.at(clock.now() + reactionMs, () => member.adopts && member.refresh());
    },
    async instances() {
      return members.map(({ state }) => structuredClone(state));
    },
  };
  return {
    port,
    announced,
    members,
    settlesAt: (time) => void (settledAt = time),
    start,
    vanish: () => members.toReversed().forEach((one) => one.vanish()),
  };
}

/** One line of the protocol, sabotaged: whoever watches must notice. */
export interface Mutant {
  readonly name: string;
  /** Below `src`. */
  readonly file: string;
  /** A text that the file has once. */
  readonly replace: string;
  readonly by: string;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'issues again without a look into the vault',
    file: 'phases/issue.ts',
    replace: 'const done = await alreadyPublished(rotation, old);',
    by: 'const done = undefined;',
  },
  {
    name: 'publishes before it has proved',
    file: 'phases/issue.ts',
    replace: '  await source.prove(value);\n',
    by: '',
  },
  {
    name: 'takes a lost answer for a no',
    file: 'phases/publish.ts',
    replace: 'mayHaveTakenEffect(error) ? await settle(rotation, look) : undefined',
    by: 'undefined',
  },
  {
    name: 'looks at once whether a lost publication has landed',
    file: 'phases/publish.ts',
    replace: 'await rotation.clock.sleep(2 * rotation.policy.requestTimeoutMs);',
    by: '',
  },
  {
    name: 'revokes by the clock alone',
    file: 'policy/converged.ts',
    replace: '= [clock, adoption, usage];',
    by: '= [clock];',
  },
  {
    name: 'does not ask the source who uses the old credential',
    file: 'policy/converged.ts',
    replace: '= [clock, adoption, usage];',
    by: '= [clock, adoption];',
  },
  {
    name: 'does not wait for the clock',
    file: 'policy/converged.ts',
    replace: '= [clock, adoption, usage];',
    by: '= [adoption, usage];',
  },
  {
    name: 'forgets the stragglers who still hold the old version',
    file: 'policy/converged.ts',
    replace: 'instance.version !== version || instance.held.length > 0',
    by: 'instance.version !== version',
  },
  {
    name: 'does not miss an instance that is silent',
    file: 'policy/converged.ts',
    replace: 'const stragglers = [...behind, ...silent];',
    by: 'const stragglers = behind;',
  },
  {
    name: 'waits for one lifetime of a cache instead of two',
    file: 'policy/overlap.ts',
    replace: 'return 2 * slowestTtlMs(policy) + policy.clockSkewMs;',
    by: 'return slowestTtlMs(policy);',
  },
  {
    name: 'says that it closed without having seen a refusal',
    file: 'phases/revoke.ts',
    replace: '  await proveRefused(rotation, value);\n',
    by: '',
  },
  {
    name: 'revokes a value that somebody made current again',
    file: 'phases/revoke.ts',
    replace: '  await refuseIfNotOurs(rotation);\n  await refuseIfItIsCurrent(rotation, value);\n',
    by: '',
  },
  {
    name: 'leaves the dead value readable in its other version',
    file: 'phases/revoke.ts',
    replace: 'of [...others, leaving]',
    by: 'of [leaving]',
  },
  {
    name: 'does not wait for everybody to be back after a roll back',
    file: 'runbook.ts',
    replace: 'const convergence = await converge(run, rotation, { to: back, leaving: at.fresh.ref });',
    by: 'const convergence = { at: rotation.clock.now(), rejections: [], notChecked: [] };',
  },
  {
    name: 'rolls back and then ends the old credential',
    file: 'runbook.ts',
    replace: "const revoked = await run.step('revoke', () => revoke(rotation, at.fresh));",
    by: "const revoked = await run.step('revoke', () => revoke(rotation, { version: rotation.from, ref: at.old.ref }));",
  },
  {
    name: 'starts a rotation inside the overlap of another',
    file: 'policy/which-rotation.ts',
    replace: 'if (open) return { id, vault, secret, from };',
    by: '',
  },
  {
    name: 'takes an idle slot that is in use',
    file: 'phases/preflight.ts',
    replace: '  for (const other of others) await refuseIfInUse(rotation, other);\n',
    by: '',
  },
  {
    name: 'does not mind another rotation that began in the same moment',
    file: 'policy/may-start.ts',
    replace: '  isAlone,\n',
    by: '',
  },
  {
    name: 'acts on without its lock',
    file: 'journal/fence.ts',
    replace: '      await mayAct();\n',
    by: '',
  },
  {
    name: 'lets an outdated event start a rotation',
    file: 'triggers/on-vault-event.ts',
    replace: 'return version === current ? undefined :',
    by: 'return version.length > 0 ? undefined :',
  },
  {
    name: 'starts a rotation of another version than the event was about',
    file: 'triggers/operator.ts',
    replace: '      if (requested.from !== version) return;\n',
    by: '',
  },
];

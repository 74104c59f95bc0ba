/** A label that would like to stand at `centre`. */
export interface Wish {
  readonly centre: number;
  readonly width: number;
}

/**
 * Centres for labels in one row that never overlap and stay between `from` and `to`, each as near to its wish as
 * its neighbours allow. The wishes are in order, and their widths fit into the row together.
 */
export function spread(
  wishes: readonly Wish[],
  { from, to }: { readonly from: number; readonly to: number },
): readonly number[] {
  // Labels that would collide become one block, which stands where its members wish on average.
  const blocks: { members: Wish[]; width: number; left: number }[] = [];
  for (const wish of wishes) {
    let block = { members: [wish], width: wish.width, left: 0 };
    for (;;) {
      block.left = placed(block, { from, to });
      const before = blocks.at(-1);
      if (!before || before.left + before.width <= block.left) break;
      blocks.pop();
      block = {
        members: [...before.members, ...block.members],
        width: before.width + block.width,
        left: 0,
      };
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ members, left }) => centres(members, left));
}

function placed(
  { members, width }: { members: readonly Wish[]; width: number },
  { from, to }: { from: number; to: number },
): number {
  const offsets = centres(members, 0);
  const wished = members.reduce((sum, { centre }, index) => sum + centre - (offsets[index] ?? 0), 0);
  return Math.max(from, Math.min(wished / members.length, to - width));
}

function centres(members: readonly Wish[], left: number): readonly number[] {
  let edge = left;
  return members.map(({ width }) => {
    edge += width;
    return edge - width / 2;
  });
}

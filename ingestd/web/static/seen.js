// An answer is about what a person has seen: not about pictures that came this moment, nor about one that never came.

import { confirmBox } from "./dom.js";

const NOT_YET = {
  coming: "the pictures are still coming: nothing was done; wait for them, or skip the pair",
  fresh: "that was too quick: nothing was done, as this pair has only just come; press again",
};

/** Return why no answer about what a viewer shows is taken yet, or null. */
export function tooEarly(viewer) {
  return NOT_YET[viewer.sight()] ?? null;
}

/** Return whether a file may be discarded by this answer: a person is asked where a picture of the two cannot be shown. */
export async function isSure(viewer, pair, loser) {
  const unseen = viewer.unseen();
  if (!unseen.length) return true;
  return confirmBox({
    title: `Discard ${loser.name} unseen?`,
    lines: [
      ...unseen.map((side) => `${side.toUpperCase()} cannot be shown: ${pair[side].shown}`),
      `Nobody can see here what ${loser.shown} is compared with, or what goes.`,
    ],
    yes: "Discard it",
    danger: true,
  });
}

/**
 * Checks who imports whom: the layers of .dependency-cruiser.mjs, and that nothing imports itself through others.
 *
 * A circle of types only is allowed: nothing of it is left when the code runs. Circles are looked for here and not by
 * dependency-cruiser, which looks at one circle for each import and so can miss one of values behind one of types.
 */
import { cruise, format } from "dependency-cruiser";
import rules from "../.dependency-cruiser.mjs";
import { circlesIn } from "./circles.ts";

/**
 * Imports that close a circle and need more than a move to be rid of. The list can only become shorter: without these
 * imports there must be no circle, and each of them must still close one.
 *
 * @type {{ from: string, to: string, why: string }[]}
 */
const KNOWN = [
  {
    from: "packages/contracts/src/value-codec.ts",
    to: "packages/contracts/src/failure.ts",
    why: "an error is a value, and its data are values: each encodes parts of the other",
  },
];

const FOLDERS = ["packages", "services", "infra", "examples", "bench", "test", "docs", "scripts"];

const { output } = await cruise(FOLDERS, { ...rules.options, ruleSet: { forbidden: rules.forbidden }, validate: true });
if (typeof output === "string") throw new Error("dependency-cruiser has returned text, not a result.");

const { output: text, exitCode } = await format(output, { outputType: "err-long" });
if (exitCode > 0) console.error(text);

/** What each file imports when it runs. @type {Map<string, string[]>} */
const imports = new Map(
  output.modules.map(({ source, dependencies }) => [
    source,
    dependencies
      .filter(({ dependencyTypes }) => !dependencyTypes.includes("type-only"))
      .map(({ resolved }) => resolved),
  ]),
);
const wrong = circlesIn(imports, KNOWN);
for (const line of wrong) console.error(line);

if (exitCode > 0 || wrong.length > 0) process.exitCode = 1;
else
  console.log(
    `${output.summary.totalCruised} files, ${output.summary.totalDependenciesCruised} imports, ${KNOWN.length} known circle`,
  );

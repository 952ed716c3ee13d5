import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/out/**", "**/.next/**", "**/next-env.d.ts", "**/docs-assets/**", "**/schema.gen.ts"] },
  ...tseslint.configs.strict,
  reactHooks.configs.flat["recommended-latest"],
  jsxA11y.flatConfigs.strict,
  {
    rules: {
      "max-lines": ["error", { max: 400 }],
      "no-console": "error",
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: ["*/index", "**/index"], message: "import the file itself: barrels hide what is used" }] },
      ],
    },
  },
  {
    files: ["**/public/**/*.js", "**/*.mjs"],
    rules: { "no-undef": "off", "no-console": "off" },
  },
);

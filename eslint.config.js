// What eslint asks of the scripts: no faults, small functions, one way to write things. How they look is prettier's.
import js from "@eslint/js";
import globals from "globals";

const SIZES = {
  complexity: ["error", 10],
  "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
  "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
  "max-depth": ["error", 3],
  "max-params": ["error", 5],
};
const WAYS = {
  curly: ["error", "multi-line"],
  eqeqeq: "error",
  "no-alert": "error",
  "no-console": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-shadow": "error",
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
  strict: "error",
};

const ONE_WAY = "The server is called through http.js.";

export default [
  { ignores: ["**/vendor/**", "**/node_modules/**", ".venv/**", ".build/**", "build/**", "site/**"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  { rules: { ...SIZES, ...WAYS } },
  { files: ["static/**/*.js"], languageOptions: { sourceType: "module", globals: globals.browser } },
  {
    files: ["static/**/*.js"],
    ignores: ["static/http.js"],
    rules: {
      "no-restricted-globals": ["error", ...["fetch", "XMLHttpRequest"].map((name) => ({ name, message: ONE_WAY }))],
    },
  },
  // Before the page is drawn there are no modules yet.
  { files: ["static/native.js"], languageOptions: { sourceType: "script" }, rules: { strict: ["error", "global"] } },
  {
    files: ["cwl_ui_plugin/**/*.js"],
    languageOptions: { sourceType: "commonjs", globals: globals.node },
    rules: { strict: ["error", "global"] },
  },
];

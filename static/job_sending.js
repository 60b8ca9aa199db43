// What forms with a job have in common when they are sent.
export const STILL_SENDING = "An upload is still on its way. Wait for it, or cancel it.";

export const textFile = (name, content) => new File([content], name, { type: "text/plain" });

// Whenever such a form is sent, by whatever means: the fields of the job go as one file, as there may be more of them
// than servers take.
export function packFields({ formData }) {
  const pairs = [...formData].filter(([name, value]) => name.startsWith("in-") && typeof value === "string");
  for (const [name] of pairs) formData.delete(name);
  formData.set("fields", textFile("fields.json", JSON.stringify(pairs)));
}

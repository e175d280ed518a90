// Puts the code of a scanned receipt (/track#CODE) into its field. What follows # is never sent to a server.
const code = /^#(\d{11})$/.exec(location.hash);
const field = document.getElementById("code");
if (code && field && !field.value) {
  field.value = code[1];
  document.getElementById("proof")?.focus();
}

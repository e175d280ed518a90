// Two oracles that know nothing of our code: npm's sms-segments-calculator, and node's own Intl.Segmenter with the
// GSM alphabet written out. Reads a JSON list of texts, writes a JSON list of [coding, parts, coding, parts].
const { SegmentedMessage } = require("sms-segments-calculator");

const BASIC =
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
  "abcdefghijklmnopqrstuvwxyzäöñüà";
const TWICE = "^{}[]~\\|€\f";
const clusters = new Intl.Segmenter("fa", { granularity: "grapheme" });

function own(text) {
  const gsm = [...text].every((c) => BASIC.includes(c) || TWICE.includes(c));
  const [alone, each] = gsm ? [160, 153] : [70, 67];
  const sizes = gsm
    ? [...text].map((c) => (TWICE.includes(c) ? 2 : 1))
    : [...clusters.segment(text)].map((one) => one.segment.length);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total <= alone) return [gsm ? "gsm7" : "ucs2", 1];
  let parts = 1;
  let used = 0;
  for (const size of sizes) {
    if (used + size > each) {
      parts += 1;
      used = 0;
    }
    used += size;
  }
  return [gsm ? "gsm7" : "ucs2", parts];
}

function theirs(text) {
  const found = new SegmentedMessage(text);
  return [found.encodingName === "GSM-7" ? "gsm7" : "ucs2", found.segmentsCount];
}

let input = "";
process.stdin.on("data", (piece) => (input += piece));
process.stdin.on("end", () => {
  const told = JSON.parse(input).map((text) => [...theirs(text), ...own(text)]);
  process.stdout.write(JSON.stringify(told));
});

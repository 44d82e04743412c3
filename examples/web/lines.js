// Turns a file's bytes into lines, or says why it is no text.
import { Told } from "./errors.js";

const MOST_BYTES = 256e6;
const MOST_LINES = 1e6; // a line's vector takes a kilobyte
const LOOKED_AT = 8192; // bytes, of which the kind of a file can be told
const NEWLINE = 10;

/** The file's bytes. */
export async function bytesOf(file) {
  if (file.size > MOST_BYTES) throw tooLarge(file.name, `${number(file.size / 1e6)} MB`, number(MOST_BYTES / 1e6));
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Told(`${file.name} cannot be read: see that it is a file, not a folder, and drop it again.`);
  });
  return new Uint8Array(bytes);
}

/** {texts, numbers}: the lines that are not empty, and the number of each in the file, from 1. */
export function linesOf(bytes, name) {
  if (!bytes.length) throw new Told(`${name} is empty: take a file with a text on each line.`);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new Told(`${name} is UTF-16: save it as UTF-8, and drop it again.`);
  }
  if (isBinary(bytes)) throw new Told(`${name} is no text (a picture, an archive, a PDF?): take a plain text file.`);

  const texts = [];
  const numbers = [];
  decoded(bytes, name)
    .split(/\r\n|\n|\r/)
    .forEach((line, place) => {
      if (!/[^\s\0]/.test(line)) return;
      texts.push(line);
      numbers.push(place + 1);
    });
  if (!texts.length) throw new Told(`${name} holds empty lines only: take a file with a text on each line.`);
  if (texts.length > MOST_LINES) throw tooLarge(name, `${number(texts.length)} lines`, number(MOST_LINES));
  return { texts, numbers };
}

const number = (value) => Math.ceil(value).toLocaleString("en");

function tooLarge(name, found, most) {
  return new Told(`${name} has ${found}, and this page takes ${most}: split it, and drop a part.`);
}

/** Texts hold hardly any control characters; compressed data and machine code hold one in ten bytes, or more. */
function isBinary(bytes) {
  const looked = bytes.subarray(0, LOOKED_AT);
  const controls = looked.reduce((sum, byte) => sum + (byte < 9 || (byte > 13 && byte < 32 && byte !== 27)), 0);
  return controls > 8 && controls > looked.length / 20;
}

function decoded(bytes, name) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // want of memory, say
    throw new Told(`Line ${badLine(bytes)} of ${name} is not UTF-8: save the file as UTF-8, and drop it again.`);
  }
}

/** The number of the first line that is not UTF-8; a NEWLINE byte is never part of another character. */
function badLine(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let line = 1, begin = 0; ; line++) {
    const end = bytes.indexOf(NEWLINE, begin);
    try {
      decoder.decode(bytes.subarray(begin, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    begin = end + 1;
  }
}

import { ElfinError } from '../base/errors.ts';

/** A Python object, as far as checkpoints need them: dict and OrderedDict become Map, list becomes array. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Tuple
  | Map<PickleValue, PickleValue>
  | Global
  | Made;

/** A Python tuple. */
export interface Tuple {
  readonly tuple: readonly PickleValue[];
}

/** A name that a pickle may refer to, and what calling it gives; nothing else can be called. */
export interface Global {
  readonly global: string;
  readonly call?: (args: readonly PickleValue[]) => PickleValue;
}

/** An object that one of the listed globals, or a persistent id, made. */
export interface Made {
  /** What kind of object it is. */
  readonly made: string;
}

/** What a pickle may name, and how large it may grow. */
export interface UnpickleOptions {
  /** The closed list, by `module.name`. */
  readonly globals: ReadonlyMap<string, Global>;
  /** Answers a persistent id: torch refers to its storages so. */
  readonly persistent?: (id: PickleValue) => PickleValue;
  /** What the file is called in errors. */
  readonly where: string;
}

const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/**
 * Reads one pickled object without ever running what it names: the machine below knows data and the names in `globals`, and
 * stops at any other. Work and memory are linear in the bytes: no opcode copies what the memo refers to.
 * @throws WEIGHTS_UNSAFE naming a global outside the list; WEIGHTS_CORRUPT for anything that is no such pickle
 * @see https://github.com/python/cpython/blob/main/Lib/pickletools.py for the opcodes
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): PickleValue {
  const reader = createReader(bytes);
  const machine = createMachine(options);
  try {
    for (;;) {
      const opcode = reader.byte();
      if (opcode === STOP) return machine.result();
      const step = STEPS.get(opcode);
      if (!step) throw broken(`has no use for opcode 0x${opcode.toString(16).padStart(2, '0')}`);
      step(machine, reader);
    }
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    const message = `Cannot read weights: the pickle in ${options.where} ${error.message}. Fetch or save it again.`;
    throw new ElfinError('WEIGHTS_CORRUPT', message, { cause: error });
  }
}

const broken = (problem: string) => new RangeError(problem);

type Reader = ReturnType<typeof createReader>;

function createReader(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const step = (size: number) => {
    if (size > bytes.length - at) throw broken('is cut short');
    at += size;
    return at - size;
  };
  const take = (size: number) => bytes.subarray(step(size), at);
  return {
    byte: () => view.getUint8(step(1)),
    uint16: () => view.getUint16(step(2), true),
    int32: () => view.getInt32(step(4), true),
    uint32: () => view.getUint32(step(4), true),
    /** Python's lengths of 64 bits; the bytes behind bound them. */
    uint64: () => Number(view.getBigUint64(step(8), true)),
    /** Big-endian, alone among the numbers. */
    double: () => view.getFloat64(step(8), false),
    take,
    text: (size: number) => new TextDecoder().decode(take(size)),
    line: () => {
      const end = bytes.indexOf(0x0a, at);
      if (end < 0) throw broken('is cut short');
      const line = new TextDecoder().decode(take(end - at));
      at++;
      return line;
    },
  };
}

type Machine = ReturnType<typeof createMachine>;

function createMachine({ globals, persistent, where }: UnpickleOptions) {
  const stack: Slot[] = [];
  const memo = new Map<number, PickleValue>();

  const pop = (): PickleValue => {
    const slot = stack.pop();
    if (slot === undefined || slot === MARK) throw broken('takes from an empty stack');
    return slot;
  };
  const top = (): PickleValue => {
    const slot = stack.at(-1);
    if (slot === undefined || slot === MARK) throw broken('looks at an empty stack');
    return slot;
  };
  return {
    push: (value: PickleValue) => void stack.push(value),
    mark: () => void stack.push(MARK),
    pop,
    top,
    /** Everything above the last mark, which goes too. */
    popToMark: (): PickleValue[] => {
      const start = stack.lastIndexOf(MARK);
      if (start < 0) throw broken('lacks a mark');
      const values = stack.splice(start).slice(1);
      return values as PickleValue[];
    },
    put: (index: number) => void memo.set(index, top()),
    memoize: () => void memo.set(memo.size, top()),
    get: (index: number) => {
      if (!memo.has(index)) throw broken('recalls what it never stored');
      stack.push(memo.get(index)!);
    },
    global: (module: string, name: string) => {
      const global = globals.get(`${module}.${name}`);
      if (!global) throw unsafe(`${module}.${name}`, where);
      stack.push(global);
    },
    persistent: (id: PickleValue) => {
      if (!persistent) throw broken('refers to persistent objects');
      stack.push(persistent(id));
    },
    result: () => {
      const value = pop();
      if (stack.length > 0) throw broken('leaves objects behind');
      return value;
    },
  };
}

function unsafe(name: string, where: string): ElfinError {
  const printable = name.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
  return new ElfinError(
    'WEIGHTS_UNSAFE',
    `Refused to load ${where}: its pickle names ${printable}, which is no part of a plain state dict and could run code. ` +
      'If you trust its origin, load it in Python and save the bare weights: torch.save(model.state_dict(), "plain.pth").',
    { data: { global: printable } },
  );
}

function call(machine: Machine): void {
  const args = asTuple(machine.pop());
  const callee = machine.pop();
  if (!isGlobal(callee) || !callee.call) throw broken('calls what cannot be called');
  machine.push(callee.call(args));
}

function setItems(target: PickleValue, items: readonly PickleValue[]): void {
  if (!(target instanceof Map)) throw broken('sets items of what is no dict');
  if (items.length % 2) throw broken('sets a key without a value');
  for (let i = 0; i < items.length; i += 2) target.set(items[i]!, items[i + 1]!);
}

function append(target: PickleValue, items: readonly PickleValue[]): void {
  if (!Array.isArray(target)) throw broken('appends to what is no list');
  for (const item of items) target.push(item);
}

/** Little-endian two's complement. Numbers past 64 bits are in no checkpoint but as the magic word of torch's old format. */
function long(bytes: Uint8Array): number | bigint {
  if (bytes.length > 16) throw broken('holds an integer of more than 128 bits');
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  value = BigInt.asIntN(bytes.length * 8, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

const STOP = 0x2e;

/** Opcode by its character, or its number above ASCII. */
const STEPS: ReadonlyMap<number, (machine: Machine, reader: Reader) => void> = new Map(
  Object.entries<(machine: Machine, reader: Reader) => void>({
    // Framing.
    '\x80': (_, r) => void r.byte(),
    '\x95': (_, r) => void r.take(8),
    // Scalars.
    N: (m) => m.push(null),
    '\x88': (m) => m.push(true),
    '\x89': (m) => m.push(false),
    J: (m, r) => m.push(r.int32()),
    K: (m, r) => m.push(r.byte()),
    M: (m, r) => m.push(r.uint16()),
    '\x8a': (m, r) => m.push(long(r.take(r.byte()))),
    G: (m, r) => m.push(r.double()),
    X: (m, r) => m.push(r.text(r.uint32())),
    '\x8c': (m, r) => m.push(r.text(r.byte())),
    '\x8d': (m, r) => m.push(r.text(r.uint64())),
    T: (m, r) => m.push(r.text(r.uint32())),
    U: (m, r) => m.push(r.text(r.byte())),
    B: (m, r) => m.push(r.take(r.uint32())),
    C: (m, r) => m.push(r.take(r.byte())),
    // Containers.
    '(': (m) => m.mark(),
    ']': (m) => m.push([]),
    a: (m) => {
      const item = m.pop();
      append(m.top(), [item]);
    },
    e: (m) => {
      const items = m.popToMark();
      append(m.top(), items);
    },
    l: (m) => m.push(m.popToMark()),
    '}': (m) => m.push(new Map()),
    d: (m) => {
      const dict = new Map<PickleValue, PickleValue>();
      setItems(dict, m.popToMark());
      m.push(dict);
    },
    s: (m) => {
      const value = m.pop();
      const key = m.pop();
      setItems(m.top(), [key, value]);
    },
    u: (m) => {
      const items = m.popToMark();
      setItems(m.top(), items);
    },
    ')': (m) => m.push({ tuple: [] }),
    t: (m) => m.push({ tuple: m.popToMark() }),
    '\x85': (m) => m.push({ tuple: [m.pop()] }),
    '\x86': (m) => {
      const second = m.pop();
      m.push({ tuple: [m.pop(), second] });
    },
    '\x87': (m) => {
      const third = m.pop();
      const second = m.pop();
      m.push({ tuple: [m.pop(), second, third] });
    },
    // Stack and memo.
    '0': (m) => void m.pop(),
    '1': (m) => void m.popToMark(),
    q: (m, r) => m.put(r.byte()),
    r: (m, r) => m.put(r.uint32()),
    '\x94': (m) => m.memoize(),
    h: (m, r) => m.get(r.byte()),
    j: (m, r) => m.get(r.uint32()),
    // Names and calls.
    c: (m, r) => m.global(r.line(), r.line()),
    // Names and calls at once, as protocol 0 did: looked up first, so that a refusal names it.
    i: (m, r) => {
      m.global(r.line(), r.line());
      throw broken('instantiates in the way of protocol 0');
    },
    '\x93': (m) => {
      const name = m.pop();
      const module = m.pop();
      if (typeof name !== 'string' || typeof module !== 'string') throw broken('names a global by no name');
      m.global(module, name);
    },
    Q: (m) => m.persistent(m.pop()),
    R: call,
    '\x81': call,
    // `state_dict()` hangs an attribute `_metadata` (module versions) on its OrderedDict; no weight is in it.
    b: (m) => {
      m.pop();
      if (!(m.top() instanceof Map)) throw broken('gives attributes to what has none');
    },
  }).map(([character, step]) => [character.charCodeAt(0), step]),
);

/** The elements of a tuple, where `value` is one. */
export function asTuple(value: PickleValue): readonly PickleValue[] {
  if (typeof value === 'object' && value !== null && 'tuple' in value) return value.tuple;
  throw broken('has something else where a tuple belongs');
}

/** True for one of the listed globals. */
export function isGlobal(value: PickleValue): value is Global {
  return typeof value === 'object' && value !== null && 'global' in value;
}

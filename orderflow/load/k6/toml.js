// As much of TOML as the scenarios use: tables, arrays of tables, dotted names, strings on one line, numbers, booleans, arrays
// and inline tables. Anything else is refused with its line: a scenario must not come out as something that it is not.

export function parseToml(text, file) {
  const root = {};
  let table = root;
  text.split(/\r?\n/).forEach((line, index) => {
    const source = new Source(line, `${file}, line ${index + 1}`);
    source.space();
    if (source.ended()) return;
    if (source.take('[[')) {
      table = appendTo(root, source.name(), source);
      source.expect(']]');
    } else if (source.take('[')) {
      table = tableAt(root, source.name(), source);
      source.expect(']');
    } else {
      source.entry(table);
    }
    source.space();
    if (!source.ended()) source.fail('the line should end here');
  });
  return root;
}

// The table of that name; of an array of tables, the last.
function tableAt(root, names, source) {
  return names.reduce((table, name) => {
    const next = (table[name] ??= {});
    const found = Array.isArray(next) ? next[next.length - 1] : next;
    if (typeof found !== 'object') source.fail(`${name} is a value already`);
    return found;
  }, root);
}

function appendTo(root, names, source) {
  const last = names.pop();
  const list = (tableAt(root, names, source)[last] ??= []);
  if (!Array.isArray(list)) source.fail(`${last} is no array of tables`);
  list.push({});
  return list[list.length - 1];
}

class Source {
  constructor(line, place) {
    this.rest = line;
    this.place = place;
  }

  fail(what) {
    throw new Error(`${this.place}: ${what}`);
  }

  space() {
    this.rest = this.rest.trimStart();
  }

  ended() {
    return this.rest === '' || this.rest.startsWith('#');
  }

  take(text) {
    if (!this.rest.startsWith(text)) return false;
    this.rest = this.rest.slice(text.length);
    return true;
  }

  expect(text) {
    this.space();
    if (!this.take(text)) this.fail(`${text} is expected`);
  }

  match(pattern) {
    const found = this.rest.match(pattern);
    if (found) this.rest = this.rest.slice(found[0].length);
    return found && found[0];
  }

  // A name between quotes, or bare ones with dots between them.
  name() {
    this.space();
    if (this.rest.startsWith('"')) return [this.value()];
    const name = this.match(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*/);
    if (!name) this.fail('a name is expected');
    return name.split('.');
  }

  entry(table) {
    const names = this.name();
    const last = names.pop();
    this.expect('=');
    const into = tableAt(table, names, this);
    if (last in into) this.fail(`${last} is there already`);
    into[last] = this.value();
  }

  value() {
    this.space();
    if (this.rest.startsWith('"""') || this.rest.startsWith("'''")) this.fail('a string of several lines');
    if (this.take("'")) {
      const text = this.match(/^[^']*(?=')/);
      if (text === null) this.fail('the string does not end');
      this.take("'");
      return text;
    }
    if (this.rest.startsWith('"')) {
      // What JSON takes between quotes TOML takes too, and means the same.
      const text = this.match(/^"([^"\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*"/);
      if (text === null) this.fail('a string that is not understood here');
      return JSON.parse(text);
    }
    if (this.take('[')) return this.list();
    if (this.take('{')) return this.inline();
    const word = this.match(/^[A-Za-z0-9_+.-]+/) || '';
    if (word === 'true' || word === 'false') return word === 'true';
    const number = word.replace(/_/g, '');
    if (!/^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(number)) this.fail(`${word} is not understood here`);
    return Number(number);
  }

  list() {
    const values = [];
    for (;;) {
      this.space();
      if (this.take(']')) return values;
      if (this.ended()) this.fail('an array of several lines');
      values.push(this.value());
      this.space();
      if (!this.take(',') && !this.rest.startsWith(']')) this.fail('a comma or ] is expected');
    }
  }

  inline() {
    const table = {};
    this.space();
    if (this.take('}')) return table;
    for (;;) {
      this.entry(table);
      this.space();
      if (this.take('}')) return table;
      this.expect(',');
    }
  }
}

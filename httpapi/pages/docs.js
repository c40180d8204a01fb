(async () => {
  const r = await call(base + "/openapi.json");
  if (!r.ok) return show("doc", problem(r));
  const doc = r.body;
  const resolve = (s) => (s && s.$ref ? doc.components.schemas[s.$ref.split("/").pop()] : s) || {};
  const type = (s) => { s = resolve(s); return (Array.isArray(s.type) ? s.type.join(" or ") : s.type || "any") + (s.items ? " of " + type(s.items) : ""); };
  function bounds(s) {
    s = resolve(s);
    const b = [];
    if (s.exclusiveMinimum !== undefined) b.push("above " + s.exclusiveMinimum);
    if (s.minimum !== undefined) b.push("from " + s.minimum);
    if (s.maximum !== undefined) b.push("to " + s.maximum);
    if (s.minLength) b.push("at least " + s.minLength + " characters");
    if (s.maxLength) b.push("at most " + s.maxLength + " characters");
    if (s.enum) b.push("one of " + s.enum.map((e) => JSON.stringify(e)).join(", "));
    if (s.pattern) b.push("matching " + s.pattern);
    if (s.default !== undefined) b.push("default " + JSON.stringify(s.default));
    return b.join(", ");
  }
  function fields(s, depth) {
    s = resolve(s);
    if (s.items) return fields(s.items, depth);
    if (!s.properties) return [];
    return Object.entries(s.properties).flatMap(([name, p]) => [
      el("tr", {}, el("td", {}, el("code", {}, "\u00a0".repeat(depth * 2) + name), (s.required || []).includes(name) ? el("b", { class: "bad", title: "required" }, " *") : null), el("td", {}, type(p)),
        el("td", { class: "wrap" }, [resolve(p).description, bounds(p)].filter(Boolean).join(" "))),
      ...(depth < 3 ? fields(p, depth + 1) : []),
    ]);
  }
  const table = (rows) => el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, ...rows)));
  function operation(path, verb, op) {
    const body = op.requestBody && op.requestBody.content["application/json"].schema;
    return el("details", { id: op.operationId },
      el("summary", {}, el("span", { class: "verb" }, verb.toUpperCase()), el("code", {}, path), " ", el("span", { class: "soft" }, op.summary)),
      op.description ? el("p", {}, op.description) : null,
      op.security ? el("p", { class: "soft" }, "Authorization: Bearer (" + op.security.map((s) => Object.keys(s)[0] || "or none").join(", ") + ")") : null,
      op.parameters ? table(op.parameters.map((p) => el("tr", {}, el("td", {}, el("code", {}, p.name), p.required ? el("b", { class: "bad" }, " *") : null), el("td", {}, p.in + ", " + type(p.schema)),
        el("td", { class: "wrap" }, [p.schema.description, bounds(p.schema)].filter(Boolean).join(" "))))) : null,
      body ? el("h3", {}, "Body") : null, body ? table(fields(body, 0)) : null,
      el("h3", {}, "Answers"),
      ...Object.entries(op.responses).map(([status, a]) => {
        const s = a.content && a.content["application/json"] && a.content["application/json"].schema;
        const rows = s && !(s.$ref || "").match(/Refusal|ValidationError/) ? fields(s, 0) : [];
        return el("div", {}, el("p", {}, el("b", { class: status < 400 ? "good" : "" }, status), " " + a.description), rows.length ? table(rows) : null);
      }));
  }
  const groups = doc.tags.map((t) => {
    const ops = Object.entries(doc.paths).flatMap(([path, verbs]) => Object.entries(verbs).filter(([, op]) => op.tags.includes(t.name)).map(([verb, op]) => operation(path, verb, op)));
    return ops.length ? el("section", {}, el("h2", {}, t.description), el("div", { class: "panel" }, ...ops)) : null;
  });
  show("doc", el("p", {}, doc.info.description), ...groups);
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted && wanted.tagName === "DETAILS") { wanted.open = true; wanted.scrollIntoView(); }
})();

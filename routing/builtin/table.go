package builtin

// table is everything on sale, by capability id. Descriptions are written to be
// found: they say what goes in and what comes out in a buyer's words.
var table = []definition{
	{
		product: "aimarket.data", id: "csv-to-json@v1", name: "CSV to JSON", micros: 2000, run: csvToJSON,
		description: "Parses comma-, semicolon-, tab- or pipe-separated text (RFC 4180 quoting) and returns its rows as JSON objects by header name, or as arrays. Converts a spreadsheet or table export into structured data.",
		input:       `{"type":"object","required":["csv"],"properties":{"csv":{"type":"string","maxLength":262144,"description":"the CSV text"},"delimiter":{"type":"string","enum":[",",";","\t","|"],"default":","},"header":{"type":"boolean","default":true,"description":"first row holds column names"}}}`,
		output:      `{"type":"object","required":["columns","rows","count"],"properties":{"columns":{"type":"array","items":{"type":"string"}},"rows":{"type":"array"},"count":{"type":"integer"}}}`,
	}, {
		product: "aimarket.time", id: "date-math@v1", name: "Date arithmetic", micros: 1000, run: dateMath,
		description: "Adds or subtracts years, months, weeks, days, hours, minutes and seconds to a date or timestamp, or computes the difference between two dates in days and seconds, with weekday, ISO week and day of the year. Proleptic Gregorian calendar, UTC offsets, no time-zone names.",
		input:       `{"type":"object","required":["date"],"properties":{"date":{"type":"string","description":"YYYY-MM-DD or RFC 3339"},"until":{"type":"string","description":"second date; asks for the difference"},"years":{"type":"integer"},"months":{"type":"integer"},"weeks":{"type":"integer"},"days":{"type":"integer"},"hours":{"type":"integer"},"minutes":{"type":"integer"},"seconds":{"type":"integer"}}}`,
		output:      `{"type":"object","required":["date"],"properties":{"date":{"type":"string"},"weekday":{"type":"string"},"iso_week":{"type":"string"},"day_of_year":{"type":"integer"},"unix":{"type":"integer"},"difference":{"type":"object"}}}`,
	}, {
		product: "aimarket.text", id: "diff@v1", name: "Text diff", micros: 2000, run: diff,
		description: "Compares two texts line by line and returns a unified diff (patch) with counts of added, removed and unchanged lines: what changed between two versions of a document, configuration or source file.",
		input:       `{"type":"object","required":["before","after"],"properties":{"before":{"type":"string","maxLength":131072},"after":{"type":"string","maxLength":131072},"context":{"type":"integer","minimum":0,"maximum":100,"default":3}}}`,
		output:      `{"type":"object","required":["equal","diff","added","removed","unchanged"],"properties":{"equal":{"type":"boolean"},"diff":{"type":"string"},"added":{"type":"integer"},"removed":{"type":"integer"},"unchanged":{"type":"integer"}}}`,
	}, {
		product: "aimarket.text", id: "echo@v1", name: "Echo", micros: 1000, run: echo, prompt: true,
		description: "Returns the text it is given, unchanged. For testing a connection, a payment channel or a receipt end to end at the lowest price.",
		input:       `{"type":"object","required":["text"],"properties":{"text":{"type":"string","description":"what to send back"}}}`,
		output:      `{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}`,
	}, {
		product: "aimarket.text", id: "extract@v1", name: "Regex extract", micros: 2000, run: extract,
		description: "Finds all matches of a regular expression (RE2 syntax, linear time) in a text and returns them with their positions and capture groups, named groups included. Extracts dates, ids, prices or other patterns from text.",
		input:       `{"type":"object","required":["text","pattern"],"properties":{"text":{"type":"string","maxLength":100000},"pattern":{"type":"string","maxLength":512,"description":"RE2 expression"},"limit":{"type":"integer","minimum":1,"maximum":1000,"default":100}}}`,
		output:      `{"type":"object","required":["matches","count","truncated"],"properties":{"matches":{"type":"array","items":{"type":"object","properties":{"text":{"type":"string"},"start":{"type":"integer"},"end":{"type":"integer"},"groups":{"type":"array"},"named":{"type":"object"}}}},"count":{"type":"integer"},"truncated":{"type":"boolean"}}}`,
	}, {
		product: "aimarket.crypto", id: "hash@v1", name: "Hash and checksum", micros: 1000, run: hash, prompt: true,
		description: "Computes a cryptographic hash, digest or checksum of text or base64 bytes: SHA-256, SHA-512, SHA-384, SHA3-256, SHA3-512, SHA-1, MD5 or CRC-32, in hex and base64. Says which of them are no longer secure.",
		input:       `{"type":"object","oneOf":[{"required":["text"]},{"required":["base64"]}],"properties":{"text":{"type":"string","maxLength":100000},"base64":{"type":"string","maxLength":100000},"algorithm":{"type":"string","enum":["sha256","sha512","sha384","sha3-256","sha3-512","sha1","md5","crc32"],"default":"sha256"}}}`,
		output:      `{"type":"object","required":["algorithm","hex","base64","bytes","secure"],"properties":{"algorithm":{"type":"string"},"hex":{"type":"string"},"base64":{"type":"string"},"bytes":{"type":"integer","description":"length of what was hashed"},"secure":{"type":"boolean","description":"false: collisions are practical"}}}`,
	}, {
		product: "aimarket.image", id: "qr-code@v1", name: "QR code", micros: 5000, run: qrCode,
		description: "Makes a QR code from a text, link, Wi-Fi string or payment address: a PNG image in base64, an SVG drawing, or block characters for a terminal, with a chosen error correction level.",
		input:       `{"type":"object","required":["text"],"properties":{"text":{"type":"string","maxLength":1024},"format":{"type":"string","enum":["png","svg","terminal"],"default":"png"},"level":{"type":"string","enum":["M","L","Q","H"],"default":"M"},"scale":{"type":"integer","minimum":1,"maximum":16,"default":8,"description":"pixels per module, PNG only"}}}`,
		output:      `{"type":"object","required":["format","modules","content","media_type"],"properties":{"format":{"type":"string"},"media_type":{"type":"string"},"modules":{"type":"integer","description":"modules per side, quiet zone included"},"content":{"type":"string","description":"base64 PNG, SVG text or terminal text"}}}`,
	}, {
		product: "aimarket.text", id: "slug@v1", name: "Slugify", micros: 1000, run: slug, prompt: true,
		description: "Turns a title or any text into a URL slug: lower-case ASCII letters, digits and hyphens; accents removed, German, Scandinavian, Russian and Greek letters transliterated.",
		input:       `{"type":"object","required":["text"],"properties":{"text":{"type":"string","maxLength":4096},"max_length":{"type":"integer","minimum":1,"maximum":200,"default":80}}}`,
		output:      `{"type":"object","required":["slug"],"properties":{"slug":{"type":"string"}}}`,
	}, {
		product: "aimarket.math", id: "statistics@v1", name: "Descriptive statistics", micros: 2000, run: statistics,
		description: "Describes a list of numbers: count, sum, minimum, maximum, mean, median, quartiles, percentiles, variance and standard deviation (population and sample).",
		input:       `{"type":"object","required":["numbers"],"properties":{"numbers":{"type":"array","items":{"type":"number"},"minItems":1,"maxItems":10000}}}`,
		output:      `{"type":"object","required":["count","sum","min","max","mean","median"],"properties":{"count":{"type":"integer"},"sum":{"type":"number"},"min":{"type":"number"},"max":{"type":"number"},"mean":{"type":"number"},"median":{"type":"number"},"p25":{"type":"number"},"p75":{"type":"number"},"p95":{"type":"number"},"stdev_population":{"type":"number"},"stdev_sample":{"type":["number","null"]}}}`,
	}, {
		product: "aimarket.text", id: "text-stats@v1", name: "Text statistics", micros: 1000, run: textStats, prompt: true,
		description: "Counts the characters, words, sentences, lines and paragraphs of a text, its average word length, reading time and most frequent words. Word count for essays, posts and prompts in any language that separates words.",
		input:       `{"type":"object","required":["text"],"properties":{"text":{"type":"string","maxLength":100000},"top":{"type":"integer","minimum":0,"maximum":100,"default":10,"description":"how many frequent words"}}}`,
		output:      `{"type":"object","required":["characters","bytes","words","sentences","lines","paragraphs"],"properties":{"characters":{"type":"integer"},"characters_without_spaces":{"type":"integer"},"bytes":{"type":"integer"},"words":{"type":"integer"},"unique_words":{"type":"integer"},"sentences":{"type":"integer"},"lines":{"type":"integer"},"paragraphs":{"type":"integer"},"average_word_length":{"type":"number"},"reading_seconds":{"type":"integer","description":"at 230 words a minute"},"top_words":{"type":"array"}}}`,
	}, {
		product: "aimarket.data", id: "transcode@v1", name: "Encode and decode", micros: 1000, run: transcode, prompt: true,
		description: "Converts data between encodings: plain text, base64, base64url, base32, hex and URL percent-encoding. Encodes, decodes, or goes straight from one to the other.",
		input:       `{"type":"object","required":["data","from","to"],"properties":{"data":{"type":"string","maxLength":100000},"from":{"type":"string","enum":["text","base64","base64url","base32","hex","url"]},"to":{"type":"string","enum":["text","base64","base64url","base32","hex","url"]}}}`,
		output:      `{"type":"object","required":["data","bytes"],"properties":{"data":{"type":"string"},"bytes":{"type":"integer","description":"length of the raw data"}}}`,
	}, {
		product: "aimarket.math", id: "unit-convert@v1", name: "Unit conversion", micros: 1000, run: convertUnit,
		description: "Converts a measurement between units of length, mass, temperature, area, volume, speed, time, pressure, energy, power, angle, data size and data rate, metric, imperial and US: metres to feet, kilograms to pounds, Celsius to Fahrenheit, litres to gallons, mebibytes to megabytes.",
		input:       `{"type":"object","required":["value","from","to"],"properties":{"value":{"type":"number"},"from":{"type":"string","description":"unit name or symbol, e.g. km, mile, °C, kWh, MiB"},"to":{"type":"string"}}}`,
		output:      `{"type":"object","required":["value","from","to","quantity"],"properties":{"value":{"type":"number"},"from":{"type":"string"},"to":{"type":"string"},"quantity":{"type":"string"}}}`,
	}, {
		product: "aimarket.crypto", id: "uuid5@v1", name: "Name-based UUID", micros: 1000, run: uuid5, prompt: true,
		description: "Makes the version 5 UUID (RFC 9562, SHA-1) of a name in a namespace: dns, url, oid, x500 or any UUID. The same name always gives the same identifier.",
		input:       `{"type":"object","required":["name"],"properties":{"name":{"type":"string","maxLength":4096},"namespace":{"type":"string","default":"url","description":"dns, url, oid, x500 or a UUID"}}}`,
		output:      `{"type":"object","required":["uuid"],"properties":{"uuid":{"type":"string"}}}`,
	}, {
		product: "aimarket.data", id: "validate-json@v1", name: "JSON Schema validation", micros: 3000, run: validateJSON,
		description: "Validates a JSON document against a JSON Schema (drafts 4, 6, 7, 2019-09, 2020-12) and lists every violation with its path. Checks API payloads, configuration files and model output. References inside the schema only.",
		input:       `{"type":"object","required":["schema","instance"],"properties":{"schema":{"type":["object","boolean"]},"instance":{},"formats":{"type":"boolean","default":false,"description":"also check format"}}}`,
		output:      `{"type":"object","required":["valid","errors"],"properties":{"valid":{"type":"boolean"},"errors":{"type":"array","items":{"type":"object","properties":{"path":{"type":"string","description":"JSON Pointer into the instance"},"schema_path":{"type":"string"},"message":{"type":"string"}}}},"truncated":{"type":"boolean"}}}`,
	},
}

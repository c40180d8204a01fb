package safety

import "strings"

// E-mail addresses. The contract counts an e-mail address as personal data, so
// one blocks, also under example.com: whether a domain is real says nothing a
// filter can rely on, and the protocol's tests use such addresses. What is let
// through is what names nobody: role mailboxes (support@, noreply@), and things
// that only look like addresses: user and password in a URL, git@host:path,
// @user@host handles, file names such as icon@2x.png.

// hasEmail reports whether s holds a personal e-mail address.
func hasEmail(s string) bool {
	for from := 0; ; {
		at := strings.IndexByte(s[from:], '@')
		if at < 0 {
			return false
		}
		at += from
		if emailAt(s, at) {
			return true
		}
		from = at + 1
	}
}

const (
	maxEmailLocal  = 64  // RFC 5321 §4.5.3.1.1
	maxEmailDomain = 253 // RFC 1035 §2.3.4
)

func emailAt(s string, at int) bool {
	start := at
	for start > 0 && at-start <= maxEmailLocal && localByte(s[start-1]) {
		start--
	}
	end := at + 1
	for end < len(s) && end-at <= maxEmailDomain && (wordByte(s[end]) && s[end] != '_' || s[end] == '-' || s[end] == '.') {
		end++
	}
	local := strings.ToLower(strings.Trim(s[start:at], "."))
	domain := strings.ToLower(strings.Trim(s[at+1:end], ".-"))
	if local == "" || len(local) > maxEmailLocal || strings.Contains(domain, "..") {
		return false
	}
	if start > 0 && (s[start-1] == '@' || urlUserinfo(s[:start])) {
		return false
	}
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || !topLevel(domain[dot+1:]) {
		return false
	}
	return !roleMailbox(local)
}

func localByte(c byte) bool { return wordByte(c) || strings.IndexByte(".%+-", c) >= 0 }

// urlUserinfo reports whether what comes before an address is the beginning of a
// URL: scheme://user: or scheme://.
func urlUserinfo(before string) bool {
	i := strings.LastIndexAny(before, " \t\r\n\"'<>()")
	return strings.Contains(before[i+1:], "://")
}

// topLevel reports whether a last label can be a top-level domain and is not the
// ending of a file or unit name.
func topLevel(label string) bool {
	if len(label) < 2 || len(label) > 24 {
		return false
	}
	for i := 0; i < len(label); i++ {
		if !letterByte(label[i]) {
			return false
		}
	}
	switch label {
	case "png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "js", "ts", "json", "yaml", "yml", "css", "html", "service", "socket", "timer", "target", "slice", "mount":
		return false
	}
	return true
}

// roleMailbox reports whether a mailbox belongs to a function and not to a
// person: RFC 2142 and its common company.
func roleMailbox(local string) bool {
	if i := strings.IndexByte(local, '+'); i > 0 {
		local = local[:i]
	}
	switch local {
	case "info", "support", "contact", "sales", "admin", "administrator", "hello", "help", "helpdesk",
		"noreply", "no-reply", "no.reply", "donotreply", "do-not-reply", "postmaster", "hostmaster", "webmaster",
		"abuse", "security", "noc", "privacy", "legal", "dpo", "press", "media", "jobs", "careers", "hr", "billing", "accounts",
		"office", "team", "service", "services", "newsletter", "marketing", "feedback", "enquiries", "inquiries",
		"mailer-daemon", "git", "notifications", "notification", "alerts", "reservations", "bookings", "orders", "returns",
		"partners", "community", "events", "root", "www", "ftp", "usenet", "news", "uucp", "list", "list-request":
		return true
	}
	return false
}

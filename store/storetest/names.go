package storetest

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// strange returns texts that databases, protocols and file systems often change.
func strange() []string {
	return []string{
		"plain", "Plain", "PLAIN", " leading", "trailing ", "  ", "tab\tand\nline\r\n", "'", `"`, "`", "''", `\`, `\\`, `\n`, `\x00`, `\u0000`,
		"%", "_", "100%", "a_c", "*", "a*", ">", "a.>", ".", "..", "a.b", "/", "a/b", "../../etc/passwd", "a\\b", ":", ";", "--", "; DROP TABLE events; --",
		"$1", "${x}", "{{x}}", "<b>", "&amp;", "?", "#", "a+b", "a%20b", "a%00b", "null", "NULL", "nil", "0", "-1", "1e3", "true", "{}", "[]",
		"\u00e9", "e\u0301", "\u212b", "\u00c5", "ﬁ", "ß", "ẞ", "İ", "ı", "日本語", "🏦", "👩‍👩‍👧", "\u200b", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "\x01", "\x1f", "\x7f", "\u0085", "\u2028",
		strings.Repeat("x", store.MaxName), strings.Repeat("日", store.MaxName/3), strings.Repeat("\u0301", store.MaxName/2),
	}
}

// alike returns names that databases, file systems and protocols often mistake for one
// another: those of strange, and others that differ in case, in accents, in width, in
// the last of many bytes, or in where a separator would be.
func alike() []string {
	long := strings.Repeat("long/", 90)
	all := append(strange(),
		"é", "É", "e", "E", "Å", "A\u030a", "ss", "SS", "i", "I", "K", "\u212a", "k", "ａ", "a", "A", "а", // the last one is Cyrillic
		"1", "01", "1.0", "１", "+1", "1 ", " 1", "\t1", "1\n",
		long+"a", long+"b", long+"A", long, long+"a ", long+"aa",
		"ab", "abc", "a|b", "a\x01b", "a\x1fb", "a/b/c", "a\\x00b", "a:b", "a-b", "a--b",
	)
	slices.Sort(all)
	return slices.Compact(all)
}

// newTag returns eight letters that are not used yet.
func newTag() string {
	id := store.NewID() // its end is random
	return id[len(id)-8:]
}

// fresh returns variants of the names of alike that are not used yet. It adds tag at
// the end if the beginning of the name matters, and at the beginning if the end
// matters.
func fresh(tag string) []string {
	var names []string
	for _, name := range alike() {
		for len(name)+len(tag) > store.MaxName {
			_, size := utf8.DecodeRuneInString(name)
			name = name[size:]
		}
		names = append(names, name+tag, tag+name)
	}
	return names
}

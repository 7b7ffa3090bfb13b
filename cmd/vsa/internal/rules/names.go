package rules

import (
	"slices"
	"strings"
	"unicode"
)

// Words splits ChangeOwner into Change and Owner, and OpenURLNow into Open, URL and Now.
func Words(name string) []string {
	var words []string
	runes := []rune(name)
	for i, c := range runes {
		upper := unicode.IsUpper(c)
		if i == 0 || upper && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			words = append(words, "")
		}
		words[len(words)-1] += string(c)
	}
	return words
}

// irregular are verbs whose past participle does not end in -ed.
func irregular() map[string]string {
	return map[string]string{
		"begin": "begun", "bind": "bound", "break": "broken", "bring": "brought", "build": "built", "buy": "bought", "catch": "caught", "choose": "chosen",
		"cut": "cut", "deal": "dealt", "do": "done", "draw": "drawn", "drive": "driven", "eat": "eaten", "fall": "fallen", "feed": "fed", "find": "found",
		"fly": "flown", "forget": "forgotten", "forgive": "forgiven", "freeze": "frozen", "get": "got", "give": "given", "go": "gone", "grow": "grown",
		"hear": "heard", "hide": "hidden", "hit": "hit", "hold": "held", "keep": "kept", "know": "known", "lay": "laid", "lead": "led", "leave": "left",
		"lend": "lent", "let": "let", "lose": "lost", "make": "made", "mean": "meant", "meet": "met", "overdraw": "overdrawn", "overwrite": "overwritten",
		"pay": "paid", "prepay": "prepaid", "put": "put", "quit": "quit", "read": "read", "rebuild": "rebuilt", "repay": "repaid", "reset": "reset",
		"resend": "resent", "ride": "ridden", "rise": "risen", "run": "run", "say": "said", "see": "seen", "seek": "sought", "sell": "sold", "send": "sent",
		"set": "set", "shake": "shaken", "shut": "shut", "sing": "sung", "sit": "sat", "speak": "spoken", "spend": "spent", "split": "split",
		"stand": "stood", "steal": "stolen", "stick": "stuck", "strike": "struck", "take": "taken", "teach": "taught", "tell": "told", "think": "thought",
		"throw": "thrown", "undo": "undone", "upset": "upset", "wake": "woken", "wear": "worn", "win": "won", "withdraw": "withdrawn", "withhold": "withheld", "write": "written",
	}
}

// doubled are verbs that double their last consonant in the past tense: ship, shipped.
func doubled() []string {
	return []string{
		"admit", "ban", "commit", "compel", "control", "drop", "equip", "fit", "grab", "map", "occur", "omit", "permit", "pin", "plan", "plug",
		"prefer", "refer", "scan", "ship", "shop", "skip", "snap", "step", "stop", "strip", "submit", "swap", "tag", "transfer", "trim", "unpin", "wrap", "zip",
	}
}

// present are words that look like a past tense but are not.
func present() []string {
	return []string{"bed", "bleed", "breed", "embed", "exceed", "feed", "need", "proceed", "red", "seed", "shed", "speed", "succeed", "weed"}
}

// Participle returns the past participle of a verb: Credit, Credited; Withdraw,
// Withdrawn.
func Participle(verb string) string {
	lower := strings.ToLower(verb)
	if past, ok := irregular()[lower]; ok {
		return verb[:1] + past[1:]
	}
	n := len(lower)
	switch {
	case strings.HasSuffix(lower, "e"):
		return verb + "d"
	case n > 1 && lower[n-1] == 'y' && !strings.ContainsRune("aeiou", rune(lower[n-2])):
		return verb[:n-1] + "ied"
	case slices.Contains(doubled(), lower):
		return verb + verb[n-1:] + "ed"
	default:
		return verb + "ed"
	}
}

// PastTense reports whether a name contains a verb in the past tense: Opened,
// OwnerChanged, FundsWithdrawn. A verb that is the same in both tenses, such as Set,
// counts only in a name of several words.
func PastTense(name string) bool {
	words := Words(name)
	for i, word := range words {
		word = strings.ToLower(word)
		if strings.HasSuffix(word, "ed") && !slices.Contains(present(), word) {
			return true
		}
		for verb, past := range irregular() {
			if word == past && (word != verb || i > 0 && i == len(words)-1) {
				return true
			}
		}
	}
	return false
}

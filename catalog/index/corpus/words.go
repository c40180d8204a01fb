package corpus

import "strings"

// head holds the words that a market's descriptions are made of, most frequent first.
var head = strings.Fields(`
text data image api model document language content file user video audio web search
analysis code report message customer email product price language sentiment json pdf
market table summary translation record format speech news page account score risk
invoice contract schema payment address weather stock chart map location image color
face object scene caption transcript subtitle voice music song podcast article blog post
tweet review rating feedback survey form field column row database query sql index vector
embedding cluster topic keyword entity person company organization country city street
phone date time calendar event meeting schedule task project ticket issue bug test
coverage repository commit branch release package library function class method
variable log trace metric alert incident server network domain certificate key
password token signature hash checksum encryption malware phishing vulnerability
threat fraud identity passport license compliance policy privacy consent audit legal
clause patent court medical patient diagnosis symptom drug gene protein molecule
chemical formula equation theorem statistics probability forecast trend demand supply
inventory order shipment delivery route traffic vehicle flight hotel restaurant recipe
nutrition fitness sport game player team league odds bet insurance claim loan credit
mortgage bank transaction currency exchange crypto wallet blockchain portfolio bond fund
dividend earnings tax salary job resume candidate interview course lesson quiz student
teacher school university paper citation abstract reference dictionary grammar spelling
synonym poem story character dialogue prompt template style tone brand logo banner
campaign audience segment lead funnel conversion click impression keyword ranking
backlink sitemap html css markdown xml csv spreadsheet slide presentation diagram
drawing sketch photo portrait background watermark resolution compression thumbnail
frame clip animation render texture mesh shape building floor room furniture garden
plant animal bird insect soil water energy solar battery carbon emission climate
satellite terrain elevation river ocean earthquake wildfire fast accurate secure
automatic multilingual realtime batch streaming structured plain raw large small short
long high low quality level detailed simple advanced custom public private open`)

var (
	verbs = strings.Fields(`translate summarize extract classify detect generate convert validate
		analyze parse search rank compare score predict transcribe describe rewrite clean merge
		split enrich verify monitor schedule render resize compress encrypt hash tag cluster`)
	kinds      = strings.Fields(`hub suite pro kit lab engine studio tools service cloud ai works`)
	glue       = strings.Fields(`the a of to and in for with from your by on any into that is or as`)
	categories = strings.Fields(`translation image security data weather finance audio code legal medical`)
	onsets     = strings.Fields(`b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st t tr v w z`)
	vowels     = strings.Fields(`a e i o u ai ea io ou`)
	codas      = strings.Fields(`n r l s t x m nd rt ck ng sh ct st th`)
)

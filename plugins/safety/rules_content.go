package safety

const (
	minors = `(?:child|children|child s|kids?|minors?|toddlers?|infants?|pre.?teens?|underage\w*|schoolgirls?|schoolboys?|little (?:girls?|boys?)|young (?:girls?|boys?)|(?:[1-9]|1[0-7]|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen) ?(?:yo|y/o|year.?olds?|years? old))\b`
	// graphic words make the combination with minors forbidden in any request;
	// sexual words may also belong to protection, medicine or law.
	graphic = `\b(?:porn\w*|smut\w*|nudes?|naked|nudity|erotic\w*|hentai|lewd|nsfw|sexy|sexuali[sz]\w*|sexually explicit|strip\w*|fetish\w*|masturbat\w*)\b`
	sexual  = `\b(?:sex|sexual\w*|intercourse|molest\w*|undress\w*|seduc\w+|raped?|raping|groom|grooming|make out with|touch (?:his|her|their) (?:private|genital)\w*)\b`
	makes   = `\b(?:write|generate|create|draw|make|give|show|send|find|share|produce|depict|want|need|looking for|download|watch|sell|buy|trade|render|where can i|story|picture|image|video|role.?play|imagine|describe)\b`

	protective = `prevent|protect|report(?:ed|ing|s)?\b|survivor|victim|hotline|safeguard|arrest|convict|charged|sentenced|\blaws?\b|legal|legislation|detect|moderat|combat|awareness|education|therap|treatment|research|statistic|police|\bcrimes?\b|survey|pediatric|paediatric|doctor|clinical|unicef|guidance|policy|stud(?:y|ies)|abuse|bath|breastfeed|diaper|nappy|parents? (?:should|can|guide)|textbook|block|filter|birth|congenital|chromosome|ratio|gender`

	howTo = `\b(?:how (?:to|do i|can i|would i|do you|does one|could i|should i|do we)|steps? (?:to|for|on)|instructions? (?:to|for|on)|guide (?:to|for|on)|recipe (?:to|for)|teach me|show me|help me|tell me|give me|explain|i want to|i need to|i.?d like to|tutorial (?:on|for)|walk me through|ways? to|best way to|want to|provide|plan to|let.?s|easiest way to|method for|write|describe)\b`
	// reporting is the context in which forbidden acts are told, studied or fought.
	reporting = `prevent|protect|detect|defen[cs]|defend|awareness|anti.?(?:virus|malware|money|fraud)|complian|\baml\b|history of|historical|documentary|novel\b|\bplot\b|movie|film\b|episode|breaking bad|video ?game|minecraft|arrest|convict|sentenced|charged with|police|\bcourts?\b|\bnews\b|article|law enforcement|legal definition|researchers|overdose|addiction|rehab|treatment|withdrawal|how does .{0,30} work legally|penalt|prosecut|investigat|incident response|recover from|victims? of`
)

var childrenRules = []ruleText{
	{
		name:   "sexualised minors",
		words:  "porn porno pornography smut smutty nude nudes naked nudity erotic erotica hentai lewd nsfw sexy sexualised sexualized sexually strip stripping fetish masturbating",
		re:     makes + `.{0,90}` + minors + `.{0,60}` + graphic + `|` + makes + `.{0,90}` + graphic + `.{0,60}\b` + minors + `|\b` + minors + `.{0,40}` + graphic + `.{0,40}\b(?:pics?|photos?|images?|videos?|story|stories|content|scene|drawing)`,
		unless: `prevent|report(?:ed|ing)?\b|detect|block|filter|moderat|\blaws?\b|combat|mole.?rat|naked eye|strip (?:of|mall|the)|comic|sentenced|arrest|convict|police|zebra|stripe|striped|painting|museum|cherub`,
	}, {
		name:   "sexual content with minors",
		words:  "sex sexual sexually intercourse molest molesting undress undressing seduce seducing rape raping groom grooming touch touching",
		re:     `\b` + minors + `.{0,50}` + sexual + `|` + sexual + `.{0,50}\b` + minors,
		unless: protective + `|sex of|same.?sex|\bdogs?\b|wedding`,
	}, {
		name:   "child abuse material",
		words:  "porn porno pornography pornographic erotica csam jailbait lolicon shotacon loli pedo pedophile pedophilia nude nudes kiddie preteen abuse",
		re:     `\bchild(?:ren)? (?:porn\w*|erotica)|\bkiddie porn|\bcsam\b|\bjailbait\b|\blolicon\b|\bshotacon\b|\bloli (?:porn|hentai|nude)|\bpedo(?:phil\w+)? (?:content|material|videos?|pics?|photos?|porn|ring|site|forum)|\bpre.?teen (?:porn|nudes?|sex)|\bchild (?:sex(?:ual)? )?abuse (?:videos?|images?|pics?|pictures?|content|footage)`,
		unless: `prevent|report|detect|block|filter|moderat|\blaws?\b|combat|sentenced|arrest|convict|charged|police|investigat|hotline|scan\w* for|hash (?:list|match)|illegal|\bban\b|banned`,
	}, {
		name:   "grooming",
		words:  "meet befriend groom grooming lure luring entice trick convince persuade approach contact gain get",
		also:   "child children kid kids minor minors toddler toddlers infant infants preteen preteens pre underage under schoolgirl schoolboy little young year years yo 8yo 9yo 10yo 11yo 12yo 13yo 14yo 15yo 16yo 17yo",
		re:     `\b(?:meet|befriend|groom|lure|luring|entice|trick|convince|persuade|approach|gain the trust of|contact|get)(?: \w+){0,6} ` + minors + `(?:\W+\w+){0,14}? (?:alone|in secret|secretly|keep (?:it )?(?:a )?secret|without (?:their|her|his|the|any) (?:parents?|mom|mother|family|knowing|guardian)|(?:send|sending) (?:me )?(?:nudes?|photos?|pics?|pictures|selfies)|my (?:house|car|place|van|apartment)|not tell)`,
		unless: `prevent|protect|warn|report|detect|signs of|safeguard|predators? (?:may|often|use)|how parents|stop`,
	}, {
		name:   "personal data of children",
		words:  "child children kids minors year under pupils students kid",
		also:   "collect collecting store storing track tracking gather gathering harvest harvesting sell selling scrape scraping obtain obtaining compile compiling dump dumping buy buying lives address walks home attends goes",
		re:     `\b(?:collect|store|track|gather|harvest|sell|scrape|obtain|compile|dump|buy)(?:ing)?(?: \w+){0,10}? (?:personal|private|names?|address\w*|locations?|phone|photos|profiles?|contact|data|information|whereabouts)(?: \w+){0,8}? (?:child(?:ren)?|kids?|minors|under (?:1[0-8]|the age of)|pupils|(?:[1-9]|1[0-7]) year olds)\b|\b(?:child|daughter|son|kid|girl|boy|pupil|[1-9]|1[0-7])(?: ?year.?old)?(?:\W+\w+){0,4}? (?:lives at|home address is|address is|walks home|is home alone|goes to school at|attends [a-z]+ (?:elementary|primary|middle) school)\b`,
		unless: `protect|comply|complian|coppa|parental consent|\blaws?\b|regulation|unlawful|prohibit|illegal to|gdpr|vaccin|census|anonymi|aggregate|fund|charity|donat|toys|clothes`,
	}, {
		name:   "sexualised minors (Russian)",
		words:  "детское детская детскую детской детей дети ребенок ребенка ребенком ребёнка несовершеннолетних несовершеннолетней несовершеннолетними школьница школьницы школьниц малолетних малолетки",
		re:     `детск[а-я]+ порн[а-я]*|(?:порн[а-я]*|эротическ[а-я]*|голы[а-я]*|обнаженн[а-я]*|интимн[а-я]*|сексуальн[а-я]*|секс[а-я]*)(?: [а-я]+){0,4} (?:дет(?:ей|и|ьми|ям)|реб[её]нк[а-я]*|несовершеннолетн[а-я]*|школьниц[а-я]*|малолетн?[а-я]*|малолетк[а-я]*)|(?:дет(?:ей|и|ьми)|реб[её]нк[а-я]*|несовершеннолетн[а-я]*|школьниц[а-я]*|малолетн?[а-я]*)(?: [а-я]+){0,4} (?:порн[а-я]*|эротическ[а-я]*|голы[а-я]*|обнаженн[а-я]*|интимн[а-я]*|секс[а-я]*)`,
		unless: `защит|предотвра|закон|статья|статьи|борьб|воспитани|просвещени|психолог|арест|полици|осужд|приговор`,
	},
}

const (
	explosiveThing = `(?:pipe.?bombs?|bombs?|explosives?|explosive devices?|ied|molotov\w*|grenades?|nail.?bombs?|detonators?|napalm|anfo|tatp|nerve (?:gas|agents?)|sarin|vx gas|mustard gas|ricin|anthrax|chemical weapons?|bio.?weapons?|biological weapons?|dirty bomb|ghost guns?|untraceable (?:guns?|firearms?)|land ?mines?|poison gas|gunpowder bomb|c4 charge)\b`
	hardDrug       = `(?:meth|methamphetamines?|crystal meth|amphetamines?|mdma|ecstasy pills?|ecstasy|fentanyl|heroin|lsd|crack cocaine|cocaine|ghb|pcp|mephedrone)\b`
	malwareThing   = `(?:ransomware|malware|key.?loggers?|trojans?(?: horse)?|botnets?|rootkits?|computer (?:virus(?:es)?|worms?)|spyware|infostealers?|credential stealers?|stalkerware|phishing (?:e.?mails?|pages?|sites?|kits?|campaigns?|messages?|websites?|sms)|ddos (?:tool|attack|script|bot)s?|password stealers?|crypto.?lockers?|zero.?day exploits?|remote access trojans?|(?:usb|network|email|self.?replicating) worms?|worms? that (?:spreads?|infects?|copies))`
	someoneElse    = `(?:someone(?: else)?(?: s)?|somebody(?: else)?(?: s)?|neighbo.?rs?(?: s)?|(?:ex.?)?girlfriend(?: s)?|(?:ex.?)?boyfriend(?: s)?|wife(?: s)?|husband(?: s)?|my ex(?: s)?|ex s|their|his|her|victim(?: s)?|people(?: s)?|other people(?: s)?|another person(?: s)?|coworker(?: s)?|boss(?: s)?|strangers?(?: s)?|anyone(?: s)?|a bank|the bank)`
	account        = `(?:accounts?|passwords?|e.?mails?|wi.?fi|phones?|computer|laptop|network|instagram|facebook|whatsapp|snapchat|gmail|icloud|messages|webcam|camera|bank account|servers?|twitter|system)`
	person         = `(?:my|someone|somebody|a person|people|him|her|them|another person|the president|a (?:man|woman|cop|politician|judge|neighbor)|an? (?:old|young) (?:man|woman))\b`
)

var illegalRules = []ruleText{
	{
		name:   "weapons and explosives",
		words:  "pipe bomb bombs explosive explosives ied molotov grenade grenades nail detonator napalm anfo tatp nerve sarin vx mustard ricin anthrax chemical bioweapon bioweapons bio biological dirty ghost untraceable land landmine poison pipebomb",
		re:     howTo + `(?: \w+){0,6}? (?:make|making|build|building|construct\w*|creat\w+|assembl\w+|cook\w*|detonate|produc\w+|synthesi[sz]\w+|manufactur\w+|plant|plan\w*|weaponi[sz]e|culture|3d.?print)(?: [\w-]+){0,5}? ` + explosiveThing + `|\b(?:make|build|assemble|construct|produce|synthesi[sz]e|detonate)(?: \w+){0,3}? (?:pipe.?bombs?|nail.?bombs?|ied|fertili[sz]er bombs?|nerve (?:gas|agents?)|sarin|ricin|ghost guns?|molotov\w*|napalm|tatp)\b|\bbomb.?making (?:instructions|guide|manual|recipe|tutorial)`,
		unless: reporting + `|bath.?bombs?|photo.?bomb|cherry bomb|bomb cyclone|seed.?bombs?|cocoa bomb|chocolate bomb|glitter bomb|defus|disarm|stink bomb|fork.?bomb|zip.?bomb|logic bomb|\blogo|\bcake|squad|calorie|slime|carrot|simulat|museum|clearance|disposal`,
	}, {
		name:   "making or dealing hard drugs",
		words:  "meth methamphetamine crystal amphetamine mdma ecstasy fentanyl heroin lsd crack cocaine ghb pcp mephedrone",
		re:     `\b(?:synthesi[sz]\w+|synthesis of|cook\w*|mak(?:e|ing)|manufactur\w+|produc(?:e|ing)|extract\w*|brew\w*|grow|recipe for)(?: \w+){0,4}? ` + hardDrug + `|\b(?:turn|turning|convert|converting|cook) (?:\w+ )?(?:cocaine|coke) (?:in)?to crack|\b(?:buy|sell|selling|buying|order|ship|smuggl\w+|traffic\w*|deal|dealing)(?: \w+){0,5}? ` + hardDrug,
		unless: reporting + `|pharmacolog|\blaws?\b|dea\b|seized|cartel|metabol|receptor|study|effects`,
	}, {
		name:   "malware",
		words:  "ransomware malware keylogger key trojan trojans botnet rootkit computer spyware infostealer credential stalkerware phishing ddos password cryptolocker zero remote worm worms usb network self",
		also:   "write create creating build building make making develop developing code coding generate give deploy deploying program need want design spread spreading distribute distributing craft launch",
		re:     `\b(?:write|creat(?:e|ing)|build\w*|mak(?:e|ing)|develop\w*|code|coding|generate|give me|deploy\w*|program|need|want|design|spread\w*|distribut\w+|craft|launch)(?: [\w-]+){0,6}? ` + malwareThing + `\b`,
		unless: reporting + `|analy[sz]|report on|policy|respon[sd]|scanner|filter|classif|remov|simulat|blog|essay|presentation|quiz|training|slides|signature|rule|sandbox|\bcve\b|checklist|poster|template for (?:staff|employee)`,
	}, {
		name:     "breaking into accounts or systems",
		words:    "hack hacking hacked crack cracking break breaking steal stealing bypass intercept spy get getting log logging sneak look snoop unlock",
		also:     "account accounts password passwords email emails mail mails e wifi wi phone phones computer laptop network instagram facebook whatsapp snapchat gmail icloud messages message webcam camera bank server servers twitter system",
		re:       `\b(?:hack|hacking|break|breaking|crack|cracking)(?: in)?to(?: \w+){0,4}? ` + account + `\b|\b(?:hack|hacking|crack|cracking|steal|stealing|bypass|intercept|spy on|break in(?:to)?)(?: \w+){0,2}? ` + someoneElse + `(?: \w+){0,4}? ` + account + `\b|\b(?:get|getting|log|logging|sneak|look|snoop|unlock)(?: in)?(?:to)? (?:my )?` + someoneElse + `(?: \w+){0,3}? ` + account + `\b.{0,40}without (?:\w+ ){0,3}?(?:know\w*|noticing|consent|permission|finding out)|` + howTo + `(?: \w+){0,3}? (?:hack|crack)(?: \w+){0,4}? ` + account + `\b`,
		unless:   `prevent|protect|pen.?test|authori[sz]ed|\bctf\b|was hacked|got hacked|been hacked|hackathon|growth.?hack|life.?hack|hacker news|stop (?:people|someone|hackers)|if (?:someone|somebody)|secure|news|article|attackers? (?:can|could|may|might)|movie|novel|password (?:cracking )?(?:resistance|strength)|recover my|my own|break into smaller|breaking into|crack the screen|cracked screen`,
		notAfter: `someone|somebody|hackers?|attackers?|they|who`,
	}, {
		name:   "fraud, theft and counterfeiting",
		words:  "steal stealing clone skim forge forging counterfeit counterfeiting fake launder laundering stolen carding identity",
		also:   "credit debit card cards identity identities passport passports license licence licenses licences money bank banknotes notes note currency checks cheques dollars bills cash funds prescription prescriptions car cars packages certificate certificates medical signature signatures diploma diplomas id ids account accounts cvv cvvs driver drivers euro euros diploma",
		re:     howTo + `(?: \w+){0,4}? (?:steal|stealing|clone|skim|forge|forging|counterfeit\w*|fake|launder\w*|cash out|print)(?: [\w'-]+){0,5}? (?:credit cards?|debit cards?|identit(?:y|ies)|passports?|driver.?s? licen[cs]es?|money|bank ?notes?|currency|checks|cheques|dollars|bills|cash|funds|prescriptions?|cars?|packages|medical certificates?|signatures?|diplomas?|ids?)\b|\b(?:buy|sell|selling|get|need|where)(?: \w+){0,5}? (?:stolen|cloned|counterfeit|fake|hacked) (?:credit )?(?:cards?|card numbers?|identit\w+|accounts?|passports?|money|bills|bank ?notes?|ids?|currency|cvvs?|euros?|dollars|prescriptions?)\b|\b(?:forge|counterfeit|fake) (?:\w+ ){0,3}?(?:prescriptions?|passports?|diplomas?|bank ?notes?|medical certificates?)\b|\b(?:mak(?:e|ing)|print\w*|creat\w+) (?:\w+ ){0,2}?counterfeit (?:money|bills|bank ?notes?|currency|passports?)`,
		unless: reporting + `|how to (?:spot|tell|recognise|recognize|identify|avoid)|spot (?:a )?(?:fake|counterfeit)|recogni[sz]e|avoid|what is|explain (?:what|the term)|board ?game|monopoly|test data|unit tests?|\bmock|faker|placeholder|digital signature|electronic signature|card game|identity theft protection`,
	}, {
		name:     "violence against a person",
		words:    "kill killing murder murdering poison poisoning assassinate assassin strangle hitman hit dispose stab away kidnap abduct",
		re:       `\bhire (?:an? )?(?:hit.?m[ae]n|assassin|killer)|\b(?:hit.?man|assassin) for hire|` + howTo + `(?: \w+){0,4}? (?:kill|killing|murder\w*|poison\w*|assassinat\w+|strangl\w+|stab|kidnap\w*|abduct\w*)(?: \w+){0,2}? ` + person + `|\bget away with (?:a )?murder|\b(?:dispose of|hide|dissolve|get rid of) (?:an? |the )?(?:dead |human )?(?:body|corpse)\b`,
		unless:   reporting + `|process(?:es)?\b|zombie|chess|in the game|dark souls|elden ring|boss fight|level \d|quest|\bseries\b|show called|weeds|mou?ld|bacteria|cancer cells|\blice\b|\bants?\b|roaches|wasps|mosquito|\btime\b|\bthreads?\b|daemon|\bpid\b|\bjob\b|task\b|session|connection|container|lawn|crime fiction|mystery|thriller|food poison|mushroom|my dog|my cat|water body|body fat|body text|message body`,
		notAfter: `how did|did`,
	}, {
		name:   "trafficking and illegal arms",
		words:  "traffic trafficking smuggle smuggling guns gun firearm firearms weapons weapon organs silencer dark darknet",
		re:     howTo + `(?: \w+){0,4}? (?:traffic|smuggle|smuggling|sell)(?: \w+){0,3}? (?:people|humans?|women|girls?|boys?|migrants?|(?:human )?organs?|weapons|guns|firearms|children|someone|ivory|across the border)\b|\b(?:buy|get|obtain|order|purchase|sell)(?: \w+){0,4}? (?:guns?|firearms?|weapons?|ammunition|silencer)(?: \w+){0,4}? (?:without (?:a )?(?:licen[cs]e|background|permit|papers|id\b)|illegally|(?:on|from) the dark ?(?:web|net)|under the table|no background)|\bbuy (?:human )?organs\b`,
		unless: reporting + `|web traffic|traffic (?:to|jam|light|data|sign)|nerf|water gun|glue gun|church organ|instrument|to people`,
	}, {
		name:   "terror and mass violence",
		words:  "terror terrorist mass school shooting bombing massacre genocide isis attack poison",
		re:     `\b(?:plan|planning|carry out|carrying out|commit|execute|organi[sz]e|conduct|prepare|stage|launch|do)(?: \w+){0,4}? (?:terror(?:ist)? attacks?|mass shooting|school shooting|bombing|massacre|genocide|mass murder|chemical attack)|\b(?:join|recruit\w* (?:\w+ )?for|fund|donate to) (?:isis|al.?qaeda|daesh|a terror\w* (?:group|cell|organi[sz]ation))|\bpoison (?:the |a )?(?:city |town )?(?:water supply|reservoir)`,
		unless: reporting + `|denial.?of.?service|response plan|emergency|drill|memorial|survivors|counter.?terror|response to|history|ww2|holocaust`,
	}, {
		name:   "weapons, drugs and hacking (Russian)",
		words:  "бомбу бомба бомбы взрывчатку взрывное взрывчатка молотова метамфетамин мефедрон наркотики наркотик героин амфетамин кокаин вирус вымогатель взломать взлом деньги фальшивые фальшивый паспорт убить оружие отмыть отмывать труп тело",
		re:     `(?:сделать|изготовить|собрать|создать|приготовить|смастерить|изготовление|рецепт)(?: [а-я]+){0,4} (?:бомб[а-я]*|взрывчатк[а-я]*|взрывное устройство|коктейль молотова|самодельн[а-я]+ взрыв[а-я]+)|(?:сварить|синтезировать|синтез|изготовить|приготовить|сделать|купить|продать|продавать|заказать|варить)(?: [а-я]+){0,4} (?:метамфетамин[а-я]*|мефедрон[а-я]*|наркотик[а-я]*|героин[а-я]*|амфетамин[а-я]*|кокаин[а-я]*)|(?:написать|создать|сделать|напиши|создай|разработай)(?: [а-я]+){0,4} (?:вирус[а-я]*(?: ?(?:шифровальщик|вымогатель)[а-я]*)?|вымогател[а-я]*|кейлоггер[а-я]*|троян[а-я]*|шифровальщик[а-я]*)|(?:как|помоги|научи|хочу|способ[а-я]*|нужно)(?: [а-я]+){0,3} взлом[а-я]+(?: [а-я]+){0,4} (?:аккаунт[а-я]*|почт[а-я]*|страниц[а-я]*|телефон[а-я]*|wi.?fi|вайфай|карт[а-я]*|сайт[а-я]*|банк[а-я]*|инстаграм[а-я]*|чуж[а-я]+)|(?:как|помоги|способ[а-я]*|схема)(?: [а-я]+){0,3} (?:отмыть|отмывать|отмывани[а-я]+|подделать|напечатать фальшив[а-я]+)(?: [а-я]+){0,4}|(?:купить|сделать|изготовить|заказать)(?: [а-я]+){0,2} (?:фальшив|поддельн)[а-я]+ (?:паспорт|деньг|документ|купюр)[а-я]*|(?:как|хочу|способ[а-я]*)(?: [а-я]+){0,3} (?:убить|отравить)(?: [а-я]+){0,2} (?:человек[а-я]*|жен[а-я]*|муж[а-я]*|сосед[а-я]*|начальник[а-я]*|кого)|(?:купить|достать)(?: [а-я]+){0,3} оружие(?: [а-я]+){0,3} (?:нелегально|без лицензии|без документов|в даркнете)|(?:спрятать|избавиться от) труп[а-я]*`,
		unless: `процесс|игр[аеыу]|фильм|сериал|роман|защит|предотвра|антивирус|история|новости|бомбочк[а-я]*|для ванн|суд|приговор|зависимост|отмыть (?:посуд|сковород|окн|пятн)|арест|полици|компьютерную безопасность`,
	},
}

var harassmentRules = []ruleText{
	{
		name:   "call to self-harm",
		words:  "kill kys die yourself hang miss dead cancer rot world",
		also:   "you yourself kys die",
		re:     `\b(?:go |just |please |should |and )?(?:kill|hang|shoot|drown) yourself\b|\bkys\b|\bgo (?:and )?die\b|\byou (?:should|deserve to|need to|must) die\b|\b(?:hope|wish) you (?:die|get cancer|were dead|would die|rot)|\b(?:no.?body|no one|everyone) (?:would (?:miss you|be happier if you)|will miss you|wants you (?:alive|here))|\bthe world (?:would be|is) better (?:off )?without you`,
		unless: `if you (?:are|re) (?:thinking|considering)|crisis line|988|samaritans|helpline|urge to|suicid(?:e|al) (?:prevention|thoughts|ideation)|thoughts of|never (?:tell|say)|told (?:her|him|me|them) to`,
	}, {
		name:   "threat",
		words:  "kill hurt rape beat stab murder burn regret throat bones strangle slit break destroy suffer bleed disappear live sleep pay back",
		also:   "you your",
		re:     `\bi (?:will|am going to|m going to|ll|m gonna|am gonna|swear i will) (?:\w+ )?(?:find you and )?(?:kill|hurt|rape|beat|stab|murder|burn|destroy|strangle|slit|break) (?:you|your (?:family|face|house|bones|legs|throat|kids|children|wife))\b|\bi know where you (?:live|sleep)|\byou (?:will|ll) (?:regret|pay for) .{0,20}(?:blood|life)|\bi (?:will|ll) make you (?:suffer|bleed|disappear)|\bwatch your back`,
		unless: `kill you (?:in|at) (?:chess|monopoly|mario)|novel|chapter|said the|hunger will|lyrics|screenplay`,
	}, {
		name:   "abuse",
		words:  "worthless pathetic disgusting stupid piece waste shit garbage fucking dumb idiot moron bitch cunt whore retard retarded scum trash loser losers subhuman ugly filthy useless pig like",
		also:   "you",
		re:     `\byou (?:are|re) (?:such |nothing but |just )?(?:an? |a complete |an absolute |a total )?(?:\w+ )?(?:worthless|pathetic|disgusting|useless|fucking|stupid|ugly|dumb|filthy|retarded)(?: \w+)? (?:piece|excuse|waste|human|idiot|trash|losers?|moron|pig|cow|bitch|scum|animal|freak|imbecile|garbage|little \w+|person)\b|\byou (?:\w+ )?(?:worthless|fucking|stupid|dumb|ugly|pathetic|disgusting|filthy|useless) (?:piece of \w+|\w*bitch|idiots?|morons?|cunt|whore|retards?|loser|pig|scum|trash)|\bpiece of (?:shit|garbage|trash) like you|\bwaste of (?:oxygen|space|air|skin)\b.{0,30}\byou|\byou.{0,30}\bwaste of (?:oxygen|space|air|skin)\b|\byou (?:are|re) subhuman|\b(?:people|someone|anyone|scum|trash) like you (?:should|must|deserves?|ought)(?: to)?(?: all)?(?: be)? (?:die|dead|death|exterminated|shot|killed|gassed)|\byou filthy \w+`,
		unless: `bully|bullied|harass(?:ed|ment) (?:policy|training|report)|quote|example of|classif|moderation`,
	}, {
		name:   "hatred of a group",
		words:  "jews muslims blacks gays immigrants women christians arabs gypsies refugees mexicans asians disabled vermin subhuman exterminated africans",
		re:     `\b(?:all |the |those |these |every )?(?:\w+ )?(?:jews|muslims|blacks|gays|immigrants|women|christians|arabs|gypsies|refugees|mexicans|asians|africans|disabled(?: people)?|trans people|lesbians)(?: \w+)? (?:should (?:all )?(?:die|be (?:killed|exterminated|shot|gassed|deported to hell|wiped out))|must (?:all )?(?:die|be (?:killed|exterminated|wiped out))|deserve (?:to (?:die|suffer)|death)|are (?:all )?(?:subhuman|vermin|parasites|animals|scum|filth|a plague|a disease|cockroaches))\b`,
		unless: `propaganda|claimed|said that|nazi (?:ideology|belief)|condemn|false|hate speech (?:such|like|includes)|history`,
	}, {
		name:   "harassment (Russian)",
		words:  "убей убейся сдохни ничтожество тварь ублюдок мразь убью найду повесься зарежу умри идиот тупая дебил",
		re:     `убей себя|убейся|сдохни|повесься|(?:ты|вы) (?:просто |полное |полный |жалкое |такое |тупая |тупой |никчемн[а-я]+ )*(?:ничтожество|тварь|ублюдок|мразь|дебил|урод|скотина|кретин)|я (?:тебя|вас) (?:убью|зарежу|найду и|закопаю|изобью)|(?:чтоб|чтобы|лучше бы) ты (?:сдох|умер)|тупая тварь|умри (?:тварь|уже)`,
		unless: `роман|глава|цитата|телефон доверия`,
	},
}

// medicalRules are the three groups of the contract; two of them together are
// medical data about a person.
var medicalRules = []ruleText{
	{
		name:  "patient identity",
		words: "patient patients mrn medical dob date birth insurance nhs admitted пациент пациентка пациента",
		re:    `\bpatient(?: (?:name|id|number|is|was|has|presents|presented|[a-z]+ [a-z]+))? ?[:#(]|\bpatient,? (?:mr|mrs|ms|[a-z]+ [a-z]+,? (?:aged?|dob|\d+))|\bmrn ?[:#]? ?\d|\bmedical record (?:number|no)|\b(?:dob|date of birth) ?[:#]? ?\d|\bhealth insurance (?:number|id)|\bnhs number|\bpatient (?:is|was|has|presents|presented|reports|complains|denies|admitted)\b|\b(?:my|his|her) patient\b|пациент(?:ка|а|у)?(?: [а-я]+){0,3}`,
	}, {
		name:  "diagnosis",
		words: "diagnosed diagnosis icd hiv cancer diabetes carcinoma depression schizophrenia hepatitis bipolar positive tested disorder suffers suffering epilepsy asthma copd lymphoma covid history leukemia hypertension диагноз диабет рак гепатит",
		re:    `\bdiagnos(?:is|ed)\b(?: \w+){0,3} ?(?:with|of|:|is)|\bicd.?(?:9|10|11)?.?(?:code)? ?:? ?[a-z]\d{2}|\b(?:hiv|hepatitis [abc]|covid) (?:positive|status)|\btested positive for\b|\b(?:history of|suffers from|suffering from|has|with|type [12]) (?:\w+ )?(?:diabetes|cancer|carcinoma|schizophrenia|bipolar|depression|hepatitis|hypertension|leukemia|epilepsy|asthma|copd|lymphoma)\b|диагноз[а-я]*|(?:страдает|болен|больна) [а-я]+`,
	}, {
		name:  "treatment",
		words: "prescribed prescription mg mcg dosage metformin insulin chemotherapy lisinopril sertraline warfarin fluoxetine atorvastatin lithium olanzapine ml units daily medication medications antiretroviral назначен назначено мг таблетки",
		re:    `\b(?:was |were |is |been )?prescribed\b|\bprescription (?:for|of|:)|\b\d+ ?(?:mg|mcg|ml|units)\b(?: \w+){0,3}? (?:daily|twice|once|bid|tid|qid|po|iv|weekly|per day|orally|every)|\b(?:metformin|insulin|chemotherapy|lisinopril|sertraline|warfarin|fluoxetine|atorvastatin|lithium|olanzapine|antiretroviral\w*) ?(?:\d+|therapy|treatment|dose|was|daily|and|started)|\b(?:current )?medications? ?:|назначен[а-я]*(?: [а-я]+){0,3}|\d+ ?мг`,
	},
}

"""What mini_synth says: the grammars of its two domains, ``read`` and ``talk``.

Lower-case letters and apostrophes only. Words that sound alike (no/know, by/buy) are not both used, so that a
transcript follows from the sound.
"""

READ = {
    "S": "6* WHO DID | 3* WHO DID PAST | 2* PAST WHO DID | 2* WHO_SG DOES | 2* WHO_PL DO | WHO WILL DO FUTURE"
    " | WHO WILL DO | 3* THING_IS | 2* THERE_IS | WEATHER | 2* ASK | PLEASE DO_NOW | WHO SAID WHO DID"
    " | WHO MOVED and DID | WHO_SG felt FEELING because WHO DID | BEFORE WHO DID",
    "WHO": "WHO_SG | WHO_SG | WHO_PL",
    "WHO_SG": "the PERSON | the AGE PERSON | MY KIN | NAME | NAME | he | she",
    "WHO_PL": "the PEOPLE | the AGE PEOPLE | MY FRIENDS | we | they | NAME and NAME",
    "WHOM": "the PERSON | MY KIN | NAME | the PEOPLE",
    "PERSON": "teacher | doctor | farmer | driver | baker | sailor | nurse | boy | girl | man | woman",
    "KIN": "brother | sister | mother | father | friend | neighbor",
    "FRIENDS": "friends | neighbors | parents | children",
    "PEOPLE": "children | students | farmers | women | men | boys | girls",
    "NAME": "anna | ben | clara | david | emma | frank | helen | jack | laura | maria | peter | rosa",
    "AGE": "old | young | tall | kind | tired | happy",
    "MY": "my | his | her | your",
    # what people did, do, and will do
    "DID": "MOVED | 2* ate FOOD | drank DRINK | 2* bought GOODS | sold GOODS | found GOODS THING_AT | lost the SMALL"
    " | put the SMALL THING_AT | gave WHOM GOODS | showed WHOM the SMALL | 2* watched the SIGHT | heard the SOUND"
    " | played with the PET | fed the ANIMAL | washed the WASHED | painted the WALL COLOR | opened the OPENED"
    " | closed the OPENED | waited for WHOM AT | helped WHOM in the ROOM | told WHOM about the TOPIC"
    " | slept in the ROOM | wrote a LONG letter to WHOM | talked about the TOPIC"
    " | sang a LONG song | left the ROOM early | carried the SMALL to the ROOM | cleaned the ROOM | forgot the SMALL"
    " | built a WALL_LIKE WALL | called WHOM from the PUBLIC | asked for DRINK"
    " | lived near the LAND | broke the COLOR SMALL",
    "MOVED": "walked PATH | ran PATH | drove to the PUBLIC | went to the PUBLIC"
    " | climbed the mountain | swam in the WATER",
    "PATH": "to the PUBLIC | to the PUBLIC | near the LAND",
    "DOES": "likes FOOD | wants GOODS | works in the PUBLIC | lives near the LAND | plays the MUSIC"
    " | drinks DRINK OFTEN | sleeps in the ROOM | sings OFTEN | has a NICE SMALL | needs GOODS | loves the ANIMAL"
    " | is AT | never eats FOOD | often walks to the PUBLIC",
    "DO": "eat FOOD | want GOODS | work in the PUBLIC | live near the LAND | play the MUSIC | drink DRINK OFTEN"
    " | clean the ROOM | sing a LONG song | visit WHOM OFTEN | need GOODS | open the OPENED | wash the WASHED"
    " | carry the SMALL | find the SMALL | feed the ANIMAL | walk to the PUBLIC | paint the WALL COLOR",
    "DO_NOW": "open the OPENED | close the OPENED | put the SMALL THING_AT | ask for DRINK | give WHOM the SMALL"
    " | wash the WASHED | feed the ANIMAL | clean the ROOM | show me the SMALL | paint the WALL COLOR | find the SMALL",
    "PLEASE": "please | now | do not",
    "WILL": "will | can | must | should",
    "FEELING": "happy | sad | angry | tired",
    "SAID": "said that | thought that | believed that",
    "BEFORE": "before dinner | after school | after the storm | during the game",
    "ASK": "did WHO DO PAST | can you DO | where did WHO find the SMALL | will WHO DO FUTURE"
    " | why did WHO close the OPENED | who ASKED | where is the COLOR SMALL | how old is MY PET"
    " | is the SMALL THING_AT",
    "ASKED": "opened the OPENED | painted the WALL COLOR | lost the SMALL | fed the ANIMAL | cleaned the ROOM",
    # things
    "THING_IS": "the SMALL is THING_AT | the FRUIT was very TASTE PAST | the COLOR SMALL was THING_AT"
    " | the ROOM is LOOK | MY SMALL is COLOR and COLOR | the WALL is COLOR and WALL_LIKE | this SMALL is very NICE"
    " | MY PET is very AGE",
    "THERE_IS": "there is a NICE SMALL THING_AT | there are many PEOPLE in the PUBLIC"
    " | there is a NICE ANIMAL near the LAND | there were some FRUITS THING_AT | there was a COLOR SMALL THING_AT",
    "WEATHER": "the WIND was STRONG PAST | it rained all DAYTIME near the LAND | snow fell on the LAND PAST"
    " | it will be STRONG in the LAND FUTURE",
    "WIND": "wind | storm | snow",
    "STRONG": "strong | heavy | cold",
    "GOODS": "a NICE SMALL | some FRUITS | some FOODS | a COLOR SMALL",
    "SMALL": "book | box | lamp | chair | hat | coat | key | cup | plate | clock | basket | bag | picture | knife | map"
    " | bottle",
    "NICE": "new | little | big | beautiful | strange",
    "WALL_LIKE": "new | big | strong | beautiful",
    "LONG": "long | short | funny",
    "COLOR": "red | blue | green | white | black | yellow | brown",
    "TASTE": "good | cold",
    "LOOK": "very clean | very cold | very old | very dark | very big",
    "FOOD": "FOODS | the FRUIT | some FOODS | FOODS and FOODS | FRUITS and FOODS",
    "FOODS": "bread | cheese | soup | rice | fish | cake",
    "FRUIT": "apple | orange | potato | lemon",
    "FRUITS": "apples | oranges | potatoes | eggs | flowers",
    "DRINK": "hot tea | cold milk | some water | a cup of tea",
    "PET": "dog | cat | horse",
    "ANIMAL": "PET | bird",
    "SIGHT": "boat on the WATER | moon | COLOR bird | stars | old ship | ANIMAL",
    "SOUND": "bell | music | wind | ANIMAL | storm",
    "WASHED": "dishes | windows | car | plates | dog",
    "OPENED": "door | window | box | gate | bottle",
    "WALL": "wall | house | fence | table | bridge",
    "MUSIC": "piano | guitar",
    "TOPIC": "weather | story | game | PET | storm",
    # places and times
    "AT": "in the ROOM | at the PUBLIC | near the WATER",
    "THING_AT": "on the table | under the bed | in the ROOM | behind the door | near the window | on the floor"
    " | under the tree",
    "ROOM": "kitchen | garden | house | yard",
    "PUBLIC": "station | market | school | library | hospital | village | shop | park | city | office",
    "LAND": "forest | mountains | WATER | farm | island",
    "WATER": "river | lake | beach",
    "PAST": "yesterday | last night | last SEASON | last week | this morning | on DAY",
    "OFTEN": "every DAYTIME | on DAY | at night | in the DAYTIME",
    "FUTURE": "tomorrow | on DAY | next week | next SEASON",
    "DAYTIME": "morning | evening | afternoon",
    "SEASON": "summer | winter | spring",
    "DAY": "monday | tuesday | friday | saturday | sunday",
}

TALK = {
    "S": "4* FILLER SAY | 3* SAY | SAY END | 2* FILLER SAY END | 2* QUESTION | FILLER QUESTION | REACT SAY",
    "FILLER": "well | you know | i mean | so | okay so | oh | yeah | actually | maybe | like i said | look | honestly",
    "END": "you know | i guess | or something | right | okay | i think | anyway | for sure",
    "REACT": "that's GREAT | oh wow | it's GREAT | sounds GREAT | wait | sorry | thanks",
    "GREAT": "great | crazy | awesome | fine | weird | perfect | terrible | pretty funny",
    "SAY": "2* I_AM BUSY | 3* I_WILL ACT | 3* I_CANT ACT | 2* I_GOT STUFF | it's really GREAT | that's just GREAT"
    " | I_THINK it's GREAT | there's a MESSAGE at the SPOT | the DEVICE isn't working | my DEVICE is broken again"
    " | we're gonna ACT | let's just ACT TIME | don't worry about the ANYTHING | he's always late for WORK"
    " | she didn't even ACT | I_THINK we should ACT | i'm not gonna ACT | they never ACT | it's about the ANYTHING"
    " | i've been at the SPOT all day | nobody wants to ACT | we couldn't ACT TIME | i forgot my DEVICE"
    " | I_THINK the DEVICE is GREAT | that DEVICE costs so much",
    "QUESTION": "what's up with the ANYTHING | do you wanna ACT | did you ACT TIME | can we ACT | why don't we ACT"
    " | how's your PERSON | what about the ANYTHING | are you gonna ACT | haven't you seen my DEVICE"
    " | who's at the SPOT TIME | where's the ANYTHING | isn't that SHOW GREAT",
    "I_AM": "i'm | we're | he's really | she's kind of | i'm pretty | i'm kind of",
    "I_WILL": "i'll | we'll | i'm gonna | i have to | i wanna",
    "I_CANT": "i can't | i don't | we didn't | he won't | she doesn't | i couldn't | we can't",
    "I_GOT": "i got | i've got | she's got | we just got | he lost | i really need | i still want",
    "I_THINK": "i think | i guess | i hope | i bet | i feel like | she says",
    "BUSY": "busy | tired | late again | stuck in traffic | at the SPOT | hungry | almost done | bored | sick",
    "ACT": "get some MEAL | grab MEAL | call your PERSON | meet at the SPOT | go to the SPOT | check the MESSAGE"
    " | watch the SHOW | talk about the ANYTHING | fix the DEVICE | pay for MEAL | pick up the KIDS | buy a DEVICE"
    " | see your PERSON | send the MESSAGE | hear about the SHOW | remember the MESSAGE | hang out TIME"
    " | stay at the SPOT | order MEAL | take the bus | leave the SPOT | believe that | finish the MESSAGE"
    " | drive downtown | play a game | use the DEVICE | ask my PERSON | miss the SHOW | stop working TIME",
    "STUFF": "a DEVICE | another MESSAGE | the MESSAGE | some MEAL | tickets for the SHOW | a meeting TIME",
    "ANYTHING": "DEVICE | MESSAGE | SHOW | meeting | problem",
    "DEVICE": "phone | laptop | car | bike | charger | printer | camera | wallet",
    "MESSAGE": "email | password | report | ticket | project | message | schedule | homework",
    "MEAL": "lunch | dinner | coffee | pizza | breakfast | pasta | tacos",
    "SHOW": "movie | show | game | concert | video",
    "SPOT": "office | gym | airport | mall | bar | restaurant | apartment | party | beach | hotel",
    "PERSON": "boss | mom | dad | roommate | cousin | doctor | manager",
    "KIDS": "kids | keys | tickets | guys",
    "TIME": "today | tonight | tomorrow | this weekend | after WORK | right now | later | on thursday | before lunch",
    "WORK": "work | class | dinner | school",
}

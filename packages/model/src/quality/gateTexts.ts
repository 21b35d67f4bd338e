/**
 * What every format of a model is read with: public-domain prose and verse, a story for children, questions with answers, a list and
 * code, in three languages, so that no single register decides. Fixed, and not narrowed to what passes: a figure means something only
 * beside others on the same text.
 */
export const gateTexts: readonly string[] = [
	// Lincoln, 1863.
	"Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in Liberty, and dedicated to the proposition that all men are created equal. Now we are engaged in a great civil war, testing whether that nation, or any nation so conceived and so dedicated, can long endure.",
	// Austen, 1813.
	"It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property of some one or other of their daughters.",
	// Shakespeare, Sonnet 18.
	"Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\nRough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date;",
	"Q: What is the capital of France?\nA: The capital of France is Paris.\n\nQ: How many days are there in a week?\nA: There are seven days in a week: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.\n",
	"def factorial(n):\n    if n == 0:\n        return 1\n    return n * factorial(n - 1)\n\nfor i in range(10):\n    print(i, factorial(i))\n",
	// La Fontaine, 1668.
	"Maître Corbeau, sur un arbre perché,\nTenait en son bec un fromage.\nMaître Renard, par l'odeur alléché,\nLui tint à peu près ce langage",
	// Goethe, 1782.
	"Wer reitet so spät durch Nacht und Wind?\nEs ist der Vater mit seinem Kind;\nEr hat den Knaben wohl in dem Arm,\nEr fasst ihn sicher, er hält ihn warm.",
	"The days of the week are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday. The months of the year are January, February, March, April, May, June, July, August, September, October, November and December. The numbers from one to twenty are one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen and twenty.",
	'Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine with her friends. One day, she went to the park with her mom and dad. She saw a big slide and a swing. "Can I go on the slide?" she asked. "Yes, you can," said her mom. Lily was very happy. She ran to the slide and climbed to the top. She slid down and laughed. It was so much fun! Then she went to the swing. Her dad pushed her high into the sky. She felt like a bird. When it was time to go home, Lily was tired but happy. She said thank you to her mom and dad.',
	// Aesop, in the words of the International Phonetic Association (1912).
	'The wind and the sun. The wind and the sun were disputing which was the stronger. Suddenly they saw a traveller coming down the road, and the sun said: "I see a way to decide our dispute. Whichever of us can cause that traveller to take off his cloak shall be regarded as the stronger. You begin." So the sun retired behind a cloud, and the wind began to blow as hard as it could upon the traveller. But the harder he blew the more closely did the traveller wrap his cloak round him, till at last the wind had to give up in despair. Then the sun came out and shone in all his glory upon the traveller, who soon found it too hot to walk with his cloak on.',
	// Genesis 1, King James Version.
	"In the beginning God created the heaven and the earth. And the earth was without form, and void; and darkness was upon the face of the deep. And the Spirit of God moved upon the face of the waters. And God said, Let there be light: and there was light. And God saw the light, that it was good: and God divided the light from the darkness. And God called the light Day, and the darkness he called Night. And the evening and the morning were the first day.",
];

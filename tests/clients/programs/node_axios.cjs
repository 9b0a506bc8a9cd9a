require('axios').get(process.argv[2]).then((answer) => console.log(JSON.stringify(answer.data)));

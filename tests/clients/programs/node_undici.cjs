require('undici').request(process.argv[2]).then(async (answer) => console.log(await answer.body.text()));

const headers = { authorization: `Bearer ${process.env.CLIENTS_API_KEY}` };
require('axios').get(process.argv[2], { headers }).then((answer) => console.log(JSON.stringify(answer.data)));
